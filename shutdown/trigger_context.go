package shutdown

import (
	"context"

	"github.com/gracekit/gracekit/internal/guard"
)

// ContextDone returns a manager that requests the shutdown when ctx ends, with its cause as the
// reason. It panics if ctx is nil.
func ContextDone(name string, ctx context.Context) Manager {
	if ctx == nil {
		panic("shutdown: ContextDone: ctx must not be nil")
	}
	return contextDone{name, ctx}
}

type contextDone struct {
	name string
	ctx  context.Context
}

func (m contextDone) Name() string { return m.name }

func (m contextDone) Start(ctx context.Context, request func(error)) error {
	guard.Go(ctx, "shutdown/"+m.name, func() error { return watchContext(m.ctx, ctx, request) })
	return nil
}
