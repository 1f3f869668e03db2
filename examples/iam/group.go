package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A group is errgroup.Group with names and with all errors: of servers that stop together, each has
// a right to be heard.
type group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

func newGroup(parent context.Context) *group {
	ctx, cancel := context.WithCancelCause(parent)
	return &group{ctx: ctx, cancel: cancel}
}

// run starts fn. It may be called by what runs already.
func (g *group) run(name string, fn func(context.Context) error) {
	g.wg.Go(func() {
		err := fn(g.ctx)
		if err == nil {
			return
		}
		err = fmt.Errorf("%s: %w", name, err)
		g.mu.Lock()
		g.errs = append(g.errs, err)
		g.mu.Unlock()
		g.cancel(err)
	})
}

// wait returns when all have ended.
func (g *group) wait() error {
	g.wg.Wait()
	g.cancel(nil)
	return errors.Join(g.errs...)
}
