package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gracekit/gracekit/concurrent"
)

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
					if text := p.Error(); !strings.HasPrefix(text, v.text) ||
						!strings.Contains(text, "concurrent_test.explode") {
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

// Whatever the order in which items panic, fail, or call Goexit within a second, the panic goes
// first.
func TestPanicGoesBeforeErrors(t *testing.T) {
	for _, c := range calls {
		if strings.Contains(c.name, "abandon") || strings.Contains(c.name, "1") ||
			c.name == "single item" {
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
							defer func() { got = recover() }()
							c.run(t.Context(), func(_ context.Context, n int) error {
								time.Sleep(time.Duration(8-n) * time.Second / 10) // deaf
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
						time.Sleep(time.Duration(8-n) * time.Second / 10)
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
	p, ok := got.(*concurrent.PanicError)
	if !ok || p.Index != 1 || p.Value != io.ErrUnexpectedEOF ||
		!strings.Contains(string(p.Stack), "concurrent_test.explode") {
		t.Fatalf("got %v, want the original value and stack, and the index of the outer call", got)
	}
	if n := strings.Count(p.Error(), "panic: "); n != 1 {
		t.Errorf("got %d panics in the text:\n%v", n, p)
	}
}

// FailNow of a test ends its goroutine by Goexit. Wherever fn runs, the caller's ends too, and its
// deferred functions run.
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
						t.Errorf("returned: %v, recovered %v; want the caller's goroutine to end",
							returned, recovered)
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

// With the old meaning of panic(nil), recover returns nil for a panic as it does for Goexit.
func TestPanicNilOfOldPrograms(t *testing.T) {
	t.Setenv("GODEBUG", "panicnil=1")
	v, goexit := ended(func() {
		concurrent.ForEach(t.Context(), numbers(4), func(context.Context, int) error { panic(nil) })
	})
	p, ok := v.(*concurrent.PanicError)
	if !ok || goexit {
		t.Fatalf("got %v, Goexit %v, want a PanicError", v, goexit)
	}
	if _, ok := p.Value.(*runtime.PanicNilError); !ok {
		t.Errorf("got value %v, want a PanicNilError", p.Value)
	}
}

// An item panics, or ends its goroutine, while another waits for what it would have sent, deaf to
// its context: the caller hears of it within two seconds. errgroup's Wait hung.
func TestPanicIsSeenWhileOthersWaitForIt(t *testing.T) {
	for _, c := range calls {
		if c.name == "limit 1" || c.name == "single item" || c.name == "stream limit 1" {
			continue // nothing else runs
		}
		for panicking := range 8 {
			for waiting := range 8 {
				for _, exit := range []bool{false, true} {
					if waiting == panicking || exit && waiting != (panicking+1)%8 {
						continue
					}
					synctest.Test(t, func(t *testing.T) {
						sent, began := make(chan struct{}), time.Now()
						v, exited := ended(func() {
							c.run(t.Context(), func(_ context.Context, n int) error {
								switch n {
								case waiting:
									<-sent
								case panicking:
									if exit {
										runtime.Goexit()
									}
									explode("never sent")
								}
								return nil
							})
						})
						name, took := fmt.Sprintf("%s, %d waits for %d", c.name, waiting,
							panicking), time.Since(began)
						if took > 2*time.Second {
							t.Errorf("%s: took %v", name, took)
						}
						p, ok := v.(*concurrent.PanicError)
						if exited != exit || !exit &&
							(!ok || p.Index != panicking ||
								!strings.Contains(string(p.Stack), "explode")) {
							t.Errorf("%s: got panic %v, exited: %v", name, v, exited)
						}
						close(sent)
					})
				}
			}
		}
	}
}

// The other places in which one side of a stream may crash while another waits for it.
func TestStreamPanicIsSeenWhileOthersWaitForIt(t *testing.T) {
	for _, c := range []struct {
		name                  string
		sequence, fn, body    func()
		deafSequence, deafFn  bool
		wantValue, inStack    string
		panicsInCallersOwnWay bool
	}{
		{name: "fn, for which the sequence waits", fn: func() { explode("fn") }, deafSequence: true,
			wantValue: "fn"},
		{name: "the sequence, for which fn waits", sequence: func() { explode("sequence") },
			deafFn: true, wantValue: "sequence"},
		{name: "the loop body, for which fn waits", body: func() { explode("body") }, deafFn: true,
			wantValue: "body", panicsInCallersOwnWay: true},
		{name: "the loop body, for which the sequence waits", body: func() { explode("body") },
			deafSequence: true, wantValue: "body", panicsInCallersOwnWay: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				began := time.Now()
				v := caught(func() {
					for range concurrent.Stream(t.Context(), func(yield func(int) bool) {
						if !yield(0) || !yield(1) {
							return
						}
						if c.sequence != nil {
							c.sequence()
						}
						if c.deafSequence {
							<-release
						}
					}, func(_ context.Context, n int) (int, error) {
						switch {
						case n == 0 && c.body != nil:
						case c.fn != nil && n == 1:
							c.fn()
						case c.deafFn:
							<-release
						}
						return n, nil
					}) {
						if c.body != nil {
							c.body()
						}
					}
				})
				if p, ok := v.(*concurrent.PanicError); ok && !c.panicsInCallersOwnWay {
					v = p.Value
				}
				if took := time.Since(began); v != c.wantValue || took > 2*time.Second {
					t.Errorf("got panic %v after %v, want %v", v, took, c.wantValue)
				}
			})
		})
	}
}

// net/http compares the value with ==; around any number of calls it finds the one that fn used.
func TestErrAbortHandlerKeepsItsIdentity(t *testing.T) {
	for _, c := range calls {
		if got := caught(func() {
			c.run(t.Context(), func(context.Context, int) error { panic(http.ErrAbortHandler) })
		}); got != http.ErrAbortHandler {
			t.Errorf("%s: got %v of type %T", c.name, got, got)
		}
	}
	if got := caught(func() {
		concurrent.ForEach(t.Context(), numbers(3), func(ctx context.Context, _ int) error {
			return concurrent.ForEach(ctx, numbers(3),
				func(context.Context, int) error { panic(http.ErrAbortHandler) })
		})
	}); got != http.ErrAbortHandler {
		t.Errorf("nested: got %v", got)
	}
	if got := caught(func() {
		for range concurrent.Stream(t.Context(),
			func(func(int) bool) { panic(http.ErrAbortHandler) }, trivial) {
		}
	}); got != http.ErrAbortHandler {
		t.Errorf("sequence: got %v", got)
	}
}

// A handler that is aborted inside of a call costs no line of the server's log.
func TestErrAbortHandlerInAServer(t *testing.T) {
	var out strings.Builder
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		concurrent.ForEach(r.Context(), numbers(3),
			func(context.Context, int) error { panic(http.ErrAbortHandler) })
	}))
	server.Config.ErrorLog = log.New(&out, "", 0)
	server.Start()
	if _, err := server.Client().Get(server.URL); err == nil {
		t.Error("the request was answered")
	}
	server.Close()
	if out.Len() != 0 {
		t.Errorf("got log %q, want none", out.String())
	}
}

// Any other sentinel is in the PanicError, as its documentation says.
func TestOtherSentinelsAreFoundInThePanicError(t *testing.T) {
	for _, sentinel := range []error{io.EOF, errors.New("net/http: abort"), &textCounter{}} {
		got := caught(func() {
			concurrent.ForEach(t.Context(), numbers(1),
				func(context.Context, int) error { panic(sentinel) })
		})
		p, ok := got.(*concurrent.PanicError)
		if !ok || p.Value != sentinel || !errors.Is(p, sentinel) {
			t.Errorf("got %v, want a PanicError with %v", got, sentinel)
		}
	}
}
