package concurrent_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gracekit/gracekit/concurrent"
)

// calls are all the ways to run fn for the items: inline, with the caller as one of the workers, without
// it, and as a stream.
var calls = []struct {
	name string
	run  func(ctx context.Context, fn func(context.Context, int) error) error
}{
	{"limit 1", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.Limit(1))
	}},
	{"single item", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(1), fn)
	}},
	{"workers", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn)
	}},
	{"keep going", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.KeepGoing())
	}},
	{"abandon", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.Abandon())
	}},
	{"abandon and keep going", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.Abandon(), concurrent.KeepGoing())
	}},
	{"stream", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn)))
	}},
	{"stream limit 1", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn), concurrent.Limit(1)))
	}},
	{"stream abandon", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn), concurrent.Abandon()))
	}},
	{"stream keep going", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn), concurrent.KeepGoing()))
	}},
}

func withResult(fn func(context.Context, int) error) func(context.Context, int) (int, error) {
	return func(ctx context.Context, n int) (int, error) { return n, fn(ctx, n) }
}

func drain(stream func(func(int, error) bool)) (err error) {
	for _, err = range stream {
	}
	return err
}

// caught returns what f panics with, or nil.
func caught(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

func explode(with any) { panic(with) }

// textCounter is a value to panic with.
type textCounter struct{ calls int }

func (c *textCounter) Error() string { c.calls++; return "call " + strconv.Itoa(c.calls) }

// The text of a panic is made once, where it happens: whoever prints the error later calls no
// method of the value.
func TestPanicErrorKeepsItsText(t *testing.T) {
	value := new(textCounter)
	got := caught(func() {
		concurrent.ForEach(t.Context(), numbers(1), func(context.Context, int) error { panic(value) })
	})
	p, ok := got.(*concurrent.PanicError)
	if !ok {
		t.Fatalf("got panic %v of type %T, want a *PanicError", got, got)
	}
	for range 3 {
		if want := "panic: call 1\n\ngoroutine "; !strings.HasPrefix(p.Error(), want) {
			t.Errorf("got text\n%s\nwant %q", p.Error(), want)
		}
	}
	if value.calls != 1 {
		t.Errorf("Error was called %d times, want 1", value.calls)
	}
}

func TestPanicErrorMadeByHand(t *testing.T) {
	err := &concurrent.PanicError{Value: io.EOF, Stack: []byte("goroutine 1 [running]:")}
	if got, want := err.Error(), "panic: EOF\n\ngoroutine 1 [running]:"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPanic(t *testing.T) {
	values := []struct {
		name  string
		value any
		text  string
	}{
		{"value", 42, "panic: 42\n\n"},
		{"error", io.ErrUnexpectedEOF, "panic: unexpected EOF\n\n"},
		{"nil", nil, "panic: " + new(runtime.PanicNilError).Error() + "\n\n"},
	}
	for _, c := range calls {
		for _, v := range values {
			t.Run(c.name+"/"+v.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var running atomic.Int64
					got := caught(func() {
						c.run(t.Context(), func(ctx context.Context, n int) error {
							if n == 0 {
								time.Sleep(time.Second)
								explode(v.value)
							}
							running.Add(1)
							defer running.Add(-1)
							<-ctx.Done()
							return ctx.Err()
						})
						t.Error("came back without a panic")
					})
					p, ok := got.(*concurrent.PanicError)
					if !ok {
						t.Fatalf("got panic %v of type %T, want a *PanicError", got, got)
					}
					if text := p.Error(); !strings.HasPrefix(text, v.text) || !strings.Contains(text, "concurrent_test.explode") {
						t.Errorf("got text\n%s\nwant %q and the stack of the panic", text, v.text)
					}
					if p.Index != 0 {
						t.Errorf("got index %d, want 0", p.Index)
					}
					switch v.name {
					case "value":
						if p.Value != v.value || p.Unwrap() != nil {
							t.Errorf("got value %v that unwraps to %v", p.Value, p.Unwrap())
						}
					case "error":
						if !errors.Is(p, io.ErrUnexpectedEOF) {
							t.Errorf("%v is not in the panic", v.value)
						}
					case "nil":
						if _, ok := errors.AsType[*runtime.PanicNilError](p); !ok {
							t.Errorf("got value %v of type %T", p.Value, p.Value)
						}
					}
					synctest.Wait()
					if running.Load() != 0 {
						t.Error("functions still run")
					}
				})
			})
		}
	}
}

// Whatever the order in which items panic, fail, or call Goexit, the panic goes first.
func TestPanicGoesBeforeErrors(t *testing.T) {
	for _, c := range calls {
		if strings.Contains(c.name, "abandon") || strings.Contains(c.name, "1") || c.name == "single item" {
			continue // come back at the first event
		}
		for panicking := range 3 {
			for exiting := range 3 {
				t.Run(c.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var got any
						done := make(chan struct{})
						go func() {
							defer close(done)
							// No caught here: if it is the caller's own item that called Goexit, that goes on
							// after the recovery.
							defer func() { got = recover() }()
							c.run(t.Context(), func(_ context.Context, n int) error {
								time.Sleep(time.Duration(8-n) * time.Second) // deaf
								switch n {
								case panicking:
									explode(n)
								case exiting:
									runtime.Goexit()
								}
								return errItem
							})
						}()
						<-done
						if p, ok := got.(*concurrent.PanicError); !ok || p.Index != panicking {
							t.Errorf("got %v, want the panic of item %d", got, panicking)
						}
					})
				})
			}
		}
	}
}

// Of several panics the first one counts; the others end their items only.
func TestSeveralPanics(t *testing.T) {
	for _, c := range calls {
		if c.name == "limit 1" || c.name == "single item" || c.name == "stream limit 1" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := caught(func() {
					c.run(t.Context(), func(_ context.Context, n int) error {
						time.Sleep(time.Duration(8-n) * time.Second)
						explode(n)
						return nil
					})
				})
				if p, ok := got.(*concurrent.PanicError); !ok || p.Index != 7 {
					t.Errorf("got %v, want the panic of item 7", got)
				}
				time.Sleep(time.Minute) // those abandoned
			})
		})
	}
}

func TestPanicThroughNestedCalls(t *testing.T) {
	got := caught(func() {
		concurrent.ForEach(t.Context(), numbers(3), func(ctx context.Context, n int) error {
			return concurrent.ForEach(ctx, numbers(3), func(_ context.Context, m int) error {
				if n == 1 && m == 2 {
					explode(io.ErrUnexpectedEOF)
				}
				return nil
			})
		})
	})
	outer, ok := got.(*concurrent.PanicError)
	if !ok || outer.Index != 1 || !errors.Is(outer, io.ErrUnexpectedEOF) || !strings.Contains(outer.Error(), "concurrent_test.explode") {
		t.Fatalf("got %v, want the panic of item 1 around the original one", got)
	}
	if inner, ok := outer.Value.(*concurrent.PanicError); !ok || inner.Index != 2 {
		t.Errorf("got %v inside, want the panic of item 2", outer.Value)
	}
}

// FailNow of a test ends its goroutine by Goexit. Wherever fn runs, the caller's ends too, and its deferred
// functions run.
func TestGoexit(t *testing.T) {
	for _, c := range calls {
		for _, exiting := range []int{0, 3, 7} {
			if c.name == "single item" && exiting != 0 {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var running atomic.Int64
					returned, recovered := false, any(nil)
					var caller sync.WaitGroup
					caller.Go(func() {
						defer func() { recovered = recover() }()
						c.run(t.Context(), func(ctx context.Context, n int) error {
							if n < exiting && strings.Contains(c.name, "limit 1") {
								return nil
							}
							if n == exiting {
								time.Sleep(time.Second)
								runtime.Goexit()
							}
							running.Add(1)
							defer running.Add(-1)
							<-ctx.Done()
							return ctx.Err()
						})
						returned = true
					})
					caller.Wait()
					if returned || recovered != nil {
						t.Errorf("returned: %v, recovered %v; want the caller's goroutine to end", returned, recovered)
					}
					synctest.Wait()
					if running.Load() != 0 {
						t.Error("functions still run")
					}
				})
			})
		}
	}
}

// A Goexit of the item that the caller itself runs still waits for the others.
func TestGoexitInCallerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int64
		var caller sync.WaitGroup
		caller.Go(func() {
			me := goroutineID()
			defer func() {
				if running.Load() != 0 {
					t.Errorf("%d functions still run", running.Load())
				}
			}()
			concurrent.ForEach(t.Context(), numbers(8), func(context.Context, int) error {
				if goroutineID() == me {
					time.Sleep(time.Second)
					runtime.Goexit()
				}
				running.Add(1)
				defer running.Add(-1)
				time.Sleep(time.Minute) // deaf
				return nil
			})
		})
		caller.Wait()
	})
}

// What a straggler does after the call came back is nobody's business any more.
func TestStragglerPanicsLate(t *testing.T) {
	for _, c := range calls {
		if !strings.Contains(c.name, "abandon") {
			continue
		}
		for _, end := range []func(){func() { explode("late") }, runtime.Goexit} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := c.run(ctx, func(context.Context, int) error {
						time.Sleep(time.Minute)
						end()
						return nil
					})
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
					}
					time.Sleep(time.Hour)
				})
			})
		}
	}
}
