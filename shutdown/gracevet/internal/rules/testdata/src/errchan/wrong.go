package errchan

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

func list(users []string, load func(string) error) error {
	var wg sync.WaitGroup
	errs := make(chan error, 1) // want "the goroutines of a loop send here"
	finished := make(chan bool, 1)
	for _, user := range users {
		wg.Add(1)
		go func(user string) {
			defer wg.Done()
			if err := load(user); err != nil {
				errs <- err
				return
			}
		}(user)
	}
	go func() {
		wg.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case err := <-errs:
		return err
	}
	return nil
}

func once(n int, g *errgroup.Group, load func() error) error {
	errs := make(chan error) // want "the goroutines of a loop send here"
	for range n {
		g.Go(func() error {
			errs <- load()
			return nil
		})
	}
	return <-errs
}

func either(ctx context.Context, work func() error) error {
	errs := make(chan error) // want "if the select takes another case"
	go func() { errs <- work() }()
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func two(ctx context.Context, a, b func() error) error {
	errs := make(chan error, 1) // want "if the select takes another case"
	go func() { errs <- a() }()
	go func() { errs <- b() }()
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func before(work func() (string, error)) (string, error) {
	out := make(chan string)
	errs := make(chan error) // want "if the select takes another case"
	go func() {
		s, err := work()
		out <- s
		errs <- err
	}()
	select {
	case s := <-out:
		return s, nil
	case err := <-errs:
		return "", err
	}
}
