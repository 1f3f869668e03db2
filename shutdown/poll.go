package shutdown

import (
	"context"
	"fmt"
	"time"
)

// Poll returns a manager that calls check at once and then every so often, until it returns true, which requests the
// shutdown: for notices that have to be fetched, such as a cloud's announcement that the machine will be taken away, a file that
// appears, a lease. The next wait begins when check has returned, so calls never overlap.
//
// If check returns true with an error, that is the reason. An error with false, or a panic, is no reason to stop: the first
// of a row of them goes to the [Logger] and the [ErrorHandler], and the polling goes on. check's context ends when the stop is complete;
// check should give each call a deadline of its own.
//
// It runs one goroutine, from Start to the request or the end of the stop, and one for each call of check. Both wait for a check that does not
// return. Poll panics if every is not positive or check is nil.
func Poll(name string, every time.Duration, check func(context.Context) (bool, error)) Manager {
	if every <= 0 {
		panic(fmt.Sprintf("shutdown: Poll(%q): the interval is %v, must be positive", name, every))
	}
	if check == nil {
		panic(fmt.Sprintf("shutdown: Poll(%q): check must not be nil", name))
	}
	return &poll{name: name, every: every, check: check, report: func(error) {}}
}

type poll struct {
	name   string
	every  time.Duration
	check  func(context.Context) (bool, error)
	report func(error)
}

func (p *poll) Name() string                    { return p.name }
func (p *poll) reportErrors(report func(error)) { p.report = report }

func (p *poll) Start(ctx context.Context, request func(error)) error {
	go func() {
		next := time.NewTimer(p.every)
		defer next.Stop()
		failing := false
		for {
			asks, err := p.checkOnce(ctx)
			if asks {
				if err == nil {
					err = fmt.Errorf("shutdown: %s asks to stop", p.name)
				}
				request(err)
				return
			}
			if err != nil && !failing && ctx.Err() == nil {
				p.report(err)
			}
			failing = err != nil
			next.Reset(p.every)
			select {
			case <-ctx.Done():
				return
			case <-next.C:
			}
		}
	}()
	return nil
}

// checkOnce calls check in a goroutine of its own, so that one that exits its goroutine does not end the polling.
func (p *poll) checkOnce(ctx context.Context) (asks bool, err error) {
	returned := make(chan error, 1)
	go protect(func() (err error) {
		asks, err = p.check(ctx)
		return err
	}, func(err error) { returned <- err })
	err = <-returned
	return asks, err
}

// An errorReporter is a manager that meets errors which are no reason to stop.
type errorReporter interface {
	reportErrors(func(error))
}
