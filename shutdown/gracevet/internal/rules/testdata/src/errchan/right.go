package errchan

import (
	"context"
	"log"

	zerolog "github.com/rs/zerolog/log"
)

func room(ctx context.Context, work func() error) error {
	errs := make(chan error, 1)
	go func() { errs <- work() }()
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func drained(n int, load func() error) (err error) {
	errs := make(chan error)
	for range n {
		go func() { errs <- load() }()
	}
	for range n {
		err = <-errs
	}
	return err
}

func received(ctx context.Context, work func() error) error {
	errs := make(chan error)
	go func() { errs <- work() }()
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		return <-errs
	}
}

func first(n int, load func() error) error {
	errs := make(chan error, 1)
	for range n {
		go func() {
			select {
			case errs <- load():
			default:
			}
		}()
	}
	return <-errs
}

func handedOn(n int, load func() error, collect func(<-chan error) error) error {
	errs := make(chan error)
	for range n {
		go func() { errs <- load() }()
	}
	return collect(errs)
}

func exits(ctx context.Context, work func() error) error {
	errs := make(chan error)
	go func() { errs <- work() }()
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		log.Fatal(ctx.Err())
		return nil
	}
}

func exitsByZerolog(serve, serve3 func() error) error {
	errs := make(chan error)
	errs3 := make(chan error, 1)
	go func() { errs <- serve() }()
	go func() { errs3 <- serve3() }()
	select {
	case err := <-errs:
		return err
	case err := <-errs3:
		zerolog.Fatal().Err(err).Msg("http3")
		return nil
	}
}

func twice(work func() error) error {
	errs := make(chan error, 1)
	for range 2 {
		go func() { errs <- work() }()
	}
	return <-errs
}

func pair(works []func() error) (error, error) {
	errs := make(chan error)
	for _, work := range works {
		go func() { errs <- work() }()
	}
	return <-errs, <-errs
}

// The result is sent after the error would be: if there is an error, it is what comes.
func follows(work func() (string, error)) (string, error) {
	out := make(chan string)
	errs := make(chan error)
	go func() {
		s, err := work()
		if err != nil {
			errs <- err
			return
		}
		out <- s
	}()
	select {
	case s := <-out:
		return s, nil
	case err := <-errs:
		return "", err
	}
}
