package shutdown

import (
	"context"
	"fmt"
	"time"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/internal/guard"
)

// Poll returns a manager that requests the shutdown when check returns true: for notices that have
// to be fetched, such as a cloud's announcement that it will take the machine away, a file that
// appears, a lease. It calls check at once and then at intervals of every, which begin when check
// returns, so calls never overlap.
//
// If check returns true with an error, that is the reason; [Before] makes one with a deadline. An
// error with false, or a panic, does not stop the service: polling goes on, and only the first of
// consecutive errors is reported to the [Logger] and the [ErrorHandler]. check's context ends when
// the stop is complete; check should set a deadline for each call.
//
// It runs one goroutine, from Start to the request or the end of the stop, and one for each call of
// check. Both live on while a check does not return. Poll panics if every is not positive or check
// is nil.
func Poll(name string, every time.Duration, check func(context.Context) (bool, error)) Manager {
	if every <= 0 {
		panic(fmt.Sprintf("shutdown: Poll(%q): the interval is %v, must be positive", name, every))
	}
	if check == nil {
		panic(fmt.Sprintf("shutdown: Poll(%q): check must not be nil", name))
	}
	return &poll{name, every, check}
}

type poll struct {
	name  string
	every time.Duration
	check func(context.Context) (bool, error)
}

func (p *poll) Name() string { return p.name }

func (p *poll) Start(ctx context.Context, request func(error)) error {
	go func() {
		failing := false
		for {
			asks := false
			call := guard.Go(ctx, "shutdown/"+p.name, func() (err error) { asks, err = p.check(ctx); return err })
			<-call.Done()
			err := call.Err()
			if asks {
				if err == nil {
					err = fmt.Errorf("shutdown: %s asks to stop", p.name)
				}
				request(err)
				return
			}
			if err != nil && !failing && ctx.Err() == nil {
				control.FromContext(ctx).Failed(err)
			}
			failing = err != nil
			select {
			case <-ctx.Done():
				return
			case <-time.After(p.every):
			}
		}
	}()
	return nil
}
