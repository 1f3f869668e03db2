// Package control is what a shutdown.GracefulShutdown hands to the managers of this module beyond
// what a shutdown.Manager gets. It travels as a value of the context of their Start.
package control

import "context"

// A Control lets a manager look at the stop, and speed it up. All functions are safe for concurrent
// use, and none of them blocks.
type Control struct {
	Hurry   func() bool   // see shutdown.GracefulShutdown.Hurry
	Waiting func() string // what the stop is waiting for, for people; empty before the trigger
	Failed  func(error)   // reports an error of the manager that is no reason to stop
}

type key struct{}

// NewContext returns a context with c.
func NewContext(ctx context.Context, c Control) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// FromContext returns the Control of ctx, or one that does nothing.
func FromContext(ctx context.Context) Control {
	if c, ok := ctx.Value(key{}).(Control); ok {
		return c
	}
	return Control{
		Hurry:   func() bool { return false },
		Waiting: func() string { return "" },
		Failed:  func(error) {},
	}
}
