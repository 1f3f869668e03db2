package shutdown_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// A userContext is a context of a user's type, each method of which may do anything.
type userContext struct {
	context.Context
	err   func() error
	done  func() <-chan struct{}
	value func(any) any
}

func (c userContext) Err() error            { return c.err() }
func (c userContext) Done() <-chan struct{} { return c.done() }
func (c userContext) Value(key any) any     { return c.value(key) }
func (c userContext) AfterFunc(func()) func() bool {
	return func() bool { panic("the stop function of AfterFunc") }
}

func newUserContext() userContext {
	ctx := context.Background()
	never := make(chan struct{})
	return userContext{ctx, ctx.Err, func() <-chan struct{} { return never }, ctx.Value}
}

// Whatever the methods of Start's context do, a stop is over in time, and each callback is called.
func TestStopWithAnyContext(t *testing.T) {
	tests := []struct {
		name   string
		harm   func(c *userContext, release <-chan struct{})
		starts bool
		reason string
	}{
		{"well-behaved", func(*userContext, <-chan struct{}) {}, true, ""},
		{"Err hangs", func(c *userContext, release <-chan struct{}) {
			c.err = func() error { <-release; return nil }
		}, false, "the context of Start: it has not returned"},
		{"Err panics", func(c *userContext, _ <-chan struct{}) {
			c.err = func() error { panic("Err") }
		}, false, "the context of Start: panic: Err"},
		{"Err exits", func(c *userContext, _ <-chan struct{}) {
			c.err = func() error { runtime.Goexit(); return nil }
		}, false, "the context of Start: "},
		{"Value hangs", func(c *userContext, release <-chan struct{}) {
			c.value = func(any) any { <-release; return nil }
		}, false, "the context of Start: it has not returned"},
		{"Done hangs", func(c *userContext, release <-chan struct{}) {
			c.done = func() <-chan struct{} { <-release; return nil }
		}, true, ""},
		{"Done panics", func(c *userContext, _ <-chan struct{}) {
			c.done = func() <-chan struct{} { panic("Done") }
		}, true, ""},
		{"Done never ends", func(c *userContext, _ <-chan struct{}) {
			c.done = func() <-chan struct{} { return nil }
		}, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				ctx := newUserContext()
				tt.harm(&ctx, release)
				gs := shutdown.New(shutdown.Grace(time.Second), shutdown.Tail(time.Second))
				flushed := false
				require.NoError(t, gs.AddCallback(shutdown.Callback{
					Name: "flush", Phase: shutdown.PhaseFlush,
					Func: func(context.Context) error { flushed = true; return nil },
				}))
				err := gs.Start(ctx)
				if tt.starts {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, tt.reason)
				}
				gs.Shutdown(nil)
				begun := time.Now()
				require.NoError(t, gs.Wait())
				assert.Less(t, time.Since(begun), 2*time.Second)
				assert.True(t, flushed)
			})
		})
	}
}

func TestValueOfTheContextPanicsLater(t *testing.T) {
	ctx := newUserContext()
	gs := shutdown.New()
	called := false
	require.NoError(t, gs.AddCallback(shutdown.Callback{
		Name: "store", Func: func(context.Context) error { called = true; return nil },
	}))
	var broken atomic.Bool
	ctx.value = func(any) any {
		if broken.Load() {
			panic("Value")
		}
		return nil
	}
	require.NoError(t, gs.Start(ctx))
	broken.Store(true)
	gs.Shutdown(nil)
	require.NoError(t, gs.Wait())
	assert.True(t, called)
}

// errCircle wraps itself, twice: the functions of package errors do not return from it.
type errCircle struct{}

func (*errCircle) Error() string     { return "circle" }
func (e *errCircle) Unwrap() []error { return []error{e, e} }

// errLoop wraps itself.
type errLoop struct{}

func (*errLoop) Error() string   { return "loop" }
func (e *errLoop) Unwrap() error { return e }

func TestErrorThatWrapsItself(t *testing.T) {
	for _, bad := range []error{&errCircle{}, &errLoop{}} {
		t.Run(bad.Error(), func(t *testing.T) {
			gs := shutdown.New()
			require.NoError(t, gs.Go("consumer", func(context.Context) error { return bad }))
			require.NoError(t, gs.AddCallback(
				shutdown.Callback{Name: "db", Func: func(context.Context) error { return bad }},
				shutdown.Callback{Name: "log", Phase: shutdown.PhaseFlush,
					Func: func(context.Context) error { return errors.New("reached") }},
			))
			require.NoError(t, gs.Start(t.Context()))
			err := gs.Wait()
			assert.Contains(t, err.Error(), "component consumer: "+bad.Error())
			assert.Contains(t, err.Error(), "db (store): "+bad.Error())
			assert.Contains(t, err.Error(), "reached")
		})
	}
}
