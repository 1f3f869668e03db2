// Package control is what a shutdown.GracefulShutdown hands to the managers of this module beyond
// what a shutdown.Manager gets. It travels as a value of the context of their Start.
package control

import "context"

// A Control lets a manager look at the stop, and speed it up. All functions are safe for concurrent
// use, and none of them blocks.
type Control struct {
	Hurry   func() bool   // see shutdown.GracefulShutdown.Hurry
	Waiting func() string // "waiting for api: 3 requests, 2s of 25s"; empty before the trigger
	Failed  func(error)   // reports an error of the manager that is no reason to stop

	// Request asks for the stop. posixsignal sets it for package signals, which calls it at the
	// first signal, before it looks at a second one: a stop that nobody has asked for cannot be
	// hurried.
	Request func(reason error)

	// KeepSIGPIPE makes package signals keep SIGPIPE taken after the release. posixsignal sets it:
	// the last log record of a stop, and the report that main prints, are written after Release.
	KeepSIGPIPE bool
}

// SecondHurries is implemented by the option of posixsignal that package signals recognises: the
// second signal calls Hurry, and the third forces.
type SecondHurries interface{ SecondHurries() }

type key struct{}

// NewContext returns a context with c.
func NewContext(ctx context.Context, c Control) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// FromContext returns the Control of ctx. A function that is missing there does nothing.
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
	if c.Request == nil {
		c.Request = func(error) {}
	}
	return c
}
