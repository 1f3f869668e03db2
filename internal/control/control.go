// Package control holds what a shutdown.GracefulShutdown gives to the managers of this module,
// beyond what every shutdown.Manager gets. It is a value in the context of their Start.
package control

import "context"

// A Control lets a manager look at the stop, and speed it up. All functions are safe for concurrent
// use, and none waits for the stop.
type Control struct {
	Hurry   func() bool   // see shutdown.GracefulShutdown.Hurry
	Waiting func() string // what the stop is waiting for, as in the log; empty if nothing
	Failed  func(error)   // reports an error of the manager that is no reason to stop
	Info    func(string)  // has the Logger log a line about the manager

	// Request requests the stop. posixsignal sets it for package signals, which calls it at the
	// first signal, before it looks at a second one: only a requested stop can be hurried.
	Request func(reason error)

	// KeepSIGPIPE makes package signals keep SIGPIPE taken after the release. posixsignal sets it:
	// the last log record of a stop, and the report that main prints, are written after Release.
	KeepSIGPIPE bool
}

// SecondHurries is implemented by the option of that name in posixsignal, so that package signals
// recognises it: the second signal calls Hurry, and the third forces.
type SecondHurries interface{ SecondHurries() }

type key struct{}

// NewContext returns a context with c.
func NewContext(ctx context.Context, c Control) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// FromContext returns the Control of ctx. Missing functions are replaced by ones that do nothing.
func FromContext(ctx context.Context) Control {
	c, _ := ctx.Value(key{}).(Control)
	if c.Hurry == nil {
		c.Hurry = func() bool { return false }
	}
	if c.Waiting == nil {
		c.Waiting = func() string { return "" }
	}
	if c.Failed == nil {
		c.Failed = func(error) {}
	}
	if c.Info == nil {
		c.Info = func(string) {}
	}
	if c.Request == nil {
		c.Request = func(error) {}
	}
	return c
}
