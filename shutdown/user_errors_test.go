package shutdown_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// A hostileError is an error whose methods misbehave; those that are nil are harmless.
type hostileError struct {
	text   func() string
	unwrap func() error
	is     func(error) bool
	as     func(any) bool
	calls  atomic.Int32 // of all methods
}

func (e *hostileError) Error() string {
	e.calls.Add(1)
	if e.text == nil {
		return "hostile"
	}
	return e.text()
}

func (e *hostileError) Unwrap() error {
	e.calls.Add(1)
	if e.unwrap == nil {
		return nil
	}
	return e.unwrap()
}

func (e *hostileError) Is(target error) bool {
	e.calls.Add(1)
	return e.is != nil && e.is(target)
}

func (e *hostileError) As(target any) bool {
	e.calls.Add(1)
	return e.as != nil && e.as(target)
}

// A nilError dereferences its receiver in each method, which is nil.
type nilError struct{ text string }

func (e *nilError) Error() string                { return e.text }
func (e *nilError) Unwrap() error                { return errors.New(e.text) }
func (e *nilError) Is(error) bool                { return e.text == "" }
func (e *nilError) LogValue() slog.Value         { return slog.StringValue(e.text) }
func (e *nilError) MarshalJSON() ([]byte, error) { return []byte(e.text), nil }

// A listError cannot be compared: == of two of them panics.
type listError struct{ lines []string }

func (e listError) Error() string { return e.lines[0] }

// A joinedListError cannot be compared, and neither can what it wraps.
type joinedListError struct{ errs []error }

func (e joinedListError) Error() string   { return "several" }
func (e joinedListError) Unwrap() []error { return e.errs }

// An encodedError has more methods that loggers and encoders call.
type encodedError struct{ misbehave func() }

func (e encodedError) Error() string                { return "encoded" }
func (e encodedError) LogValue() slog.Value         { e.misbehave(); return slog.Value{} }
func (e encodedError) MarshalJSON() ([]byte, error) { e.misbehave(); return []byte(`""`), nil }
func (e encodedError) MarshalText() ([]byte, error) { e.misbehave(); return nil, nil }
func (e encodedError) String() string               { e.misbehave(); return "" }
func (e encodedError) GoString() string             { e.misbehave(); return "" }

// hostileErrors are errors that break what calls their methods unguarded. What hangs ends with
// release.
func hostileErrors() map[string]func(release <-chan struct{}) error {
	all := map[string]func(release <-chan struct{}) error{
		"typed nil":    func(<-chan struct{}) error { return (*nilError)(nil) },
		"uncomparable": func(<-chan struct{}) error { return listError{[]string{"a list"}} },
		"uncomparable, wraps such": func(<-chan struct{}) error {
			return joinedListError{[]error{listError{[]string{"a"}}, nil, (*nilError)(nil)}}
		},
		"Is and As say yes": func(<-chan struct{}) error {
			yes := func(any) bool { return true }
			return &hostileError{is: func(error) bool { return true }, as: yes}
		},
		"empty text": func(<-chan struct{}) error { return errors.New("") },
	}
	ways := map[string]func(release <-chan struct{}, self func() error){
		"panics":             func(<-chan struct{}, func() error) { panic("in a method") },
		"panics with itself": func(_ <-chan struct{}, self func() error) { panic(self()) },
		"exits":              func(<-chan struct{}, func() error) { runtime.Goexit() },
		"hangs":              func(release <-chan struct{}, _ func() error) { <-release },
	}
	for way, do := range ways {
		all["Error "+way] = func(release <-chan struct{}) error {
			e := &hostileError{}
			e.text = func() string { do(release, func() error { return e }); return "" }
			return e
		}
		all["Unwrap "+way] = func(release <-chan struct{}) error {
			e := &hostileError{}
			e.unwrap = func() error { do(release, func() error { return e }); return nil }
			return e
		}
		all["Is and As, each "+way] = func(release <-chan struct{}) error {
			e := &hostileError{}
			e.is = func(error) bool { do(release, func() error { return e }); return false }
			e.as = func(any) bool { do(release, func() error { return e }); return false }
			return e
		}
		all["what wraps it: Error "+way] = func(release <-chan struct{}) error {
			e := &hostileError{}
			e.text = func() string { do(release, func() error { return e }); return "" }
			return &hostileError{unwrap: func() error { return e }}
		}
		all["LogValue, MarshalJSON and others, each "+way] = func(release <-chan struct{}) error {
			var e encodedError
			e.misbehave = func() { do(release, func() error { return e }) }
			return e
		}
	}
	return all
}

// Whatever an error's methods do, and wherever the error comes from, the process lives, the stop is
// over in time, PhaseFlush runs, and the row names whose error it was.
func TestErrorsOfUsersAreCalledUnderGuard(t *testing.T) {
	const grace, tail = 10 * sec, 2 * sec
	type place struct {
		noRow bool // the error is a reason and nobody's failure
		begin func(gs service, err error)
	}
	stop := func(gs service) { gs.start(); synctest.Wait(); gs.Shutdown(nil) }
	places := map[string]place{
		"callback returns": {begin: func(gs service, err error) {
			gs.callback("culprit", 100, returns(err))
			stop(gs)
		}},
		"callback panics": {begin: func(gs service, err error) {
			gs.callback("culprit", 100, func(context.Context) error { panic(err) })
			stop(gs)
		}},
		"callback returns at its deadline": {begin: func(gs service, err error) {
			gs.callbacks(shutdown.Callback{
				Name: "culprit", Phase: 100, Timeout: sec,
				Func: func(ctx context.Context) error { <-ctx.Done(); return err },
			})
			stop(gs)
		}},
		"closer": {begin: func(gs service, err error) {
			gs.callbacks(shutdown.Closer("culprit", closer(func() error { return err })))
			stop(gs)
		}},
		"component fails": {begin: func(gs service, err error) {
			gs.component("culprit", func(context.Context) error { time.Sleep(sec); return err })
			gs.start()
			time.Sleep(2 * sec)
			gs.Shutdown(nil) // one that Is http.ErrServerClosed is no failure
		}},
		"component panics": {begin: func(gs service, err error) {
			gs.component("culprit", func(context.Context) error { time.Sleep(sec); panic(err) })
			gs.start()
		}},
		"component fails during the stop": {begin: func(gs service, err error) {
			gs.component("culprit", func(ctx context.Context) error { <-ctx.Done(); return err })
			stop(gs)
		}},
		"start hook": {begin: func(gs service, err error) {
			gs.managers(&manager{
				name: "culprit", begin: func(context.Context, error) error { return err },
			})
			stop(gs)
		}},
		"finish hook": {begin: func(gs service, err error) {
			finish := func(context.Context, shutdown.Report) error { panic(err) }
			gs.managers(&manager{name: "culprit", finish: finish})
			stop(gs)
		}},
		"Release": {begin: func(gs service, err error) {
			gs.managers(&manager{name: "culprit", release: func() { panic(err) }})
			stop(gs)
		}},
		"server's Shutdown": {begin: func(gs service, err error) {
			require.NoError(gs.t, gs.AddServer("culprit", &plainServer{shutdown: returns(err)}))
			stop(gs)
		}},
		"server's GracefulStop": {begin: func(gs service, err error) {
			gs.grpcServer("culprit", grpcServer{graceful: func() { panic(err) }})
			stop(gs)
		}},
		"ErrorHandler": {noRow: true, begin: func(gs service, err error) {
			gs.callback("fails", 100, returns(errTest))
			stop(gs)
		}},
		"reason of Shutdown": {noRow: true, begin: func(gs service, err error) {
			gs.start()
			gs.Shutdown(err)
		}},
		"reason of Before": {noRow: true, begin: func(gs service, err error) {
			gs.start()
			gs.Shutdown(shutdown.Before(time.Now().Add(5*sec), err))
		}},
		"reason of a later request": {noRow: true, begin: func(gs service, err error) {
			gs.callback("takes some time", 100, sleep(sec))
			gs.start()
			gs.Shutdown(nil)
			gs.Shutdown(err)
			gs.Shutdown(shutdown.Before(time.Now().Add(time.Hour), err))
		}},
		"reason of a manager": {noRow: true, begin: func(gs service, err error) {
			m := &manager{name: "culprit"}
			gs.managers(m)
			gs.start()
			m.request(err)
		}},
		"reason of a poll": {noRow: true, begin: func(gs service, err error) {
			gs.managers(shutdown.Poll("culprit", sec, func(context.Context) (bool, error) {
				return true, err
			}))
			_ = gs.Start(gs.t.Context()) // the poll may be the first
		}},
		"error of a poll": {noRow: true, begin: func(gs service, err error) {
			gs.managers(shutdown.Poll("culprit", sec, func(context.Context) (bool, error) {
				return false, err
			}))
			gs.start()
			time.Sleep(10 * sec)
			gs.Shutdown(nil)
		}},
		"cause of Start's context": {noRow: true, begin: func(gs service, err error) {
			ctx, cancel := context.WithCancelCause(gs.t.Context())
			require.NoError(gs.t, gs.Start(ctx))
			cancel(err)
		}},
		"cause of ContextDone": {noRow: true, begin: func(gs service, err error) {
			ctx, cancel := context.WithCancelCause(gs.t.Context())
			gs.managers(shutdown.ContextDone("lease", ctx))
			gs.start()
			cancel(err)
		}},
	}
	for where, place := range places {
		for kind, make := range hostileErrors() {
			bubble(t, where+"/"+kind, func(t *testing.T) {
				release := makeRelease(t)
				err := make(release)
				var log bytes.Buffer
				handler := func(e error) { _ = e.Error(); _ = errors.Is(e, http.ErrServerClosed) }
				if where == "ErrorHandler" {
					handler = func(error) { panic(err) }
				}
				gs := newService(t, shutdown.Grace(grace), shutdown.Tail(tail),
					shutdown.Logger(slog.New(slog.NewJSONHandler(&log, nil))),
					shutdown.ErrorHandler(handler), shutdown.Watch(func(shutdown.Step) {}))
				flushed := false
				gs.callback("flush", shutdown.PhaseFlush, func(context.Context) error {
					flushed = true
					return nil
				})
				place.begin(gs, err)
				<-gs.Draining()
				trigger := time.Now()
				_ = gs.Wait()
				assert.LessOrEqual(t, time.Since(trigger), grace+tail)
				assert.True(t, flushed, "PhaseFlush has not run")
				synctest.Wait()
				r := gs.Report()
				// The text of an error is taken once. What a report does later calls nobody.
				before := hostileCalls(err)
				text := r.String()
				_, jsonErr := json.Marshal(r)
				assert.NoError(t, jsonErr)
				textLogger(&log).Info("stopped", "report", r)
				assert.Equal(t, before, hostileCalls(err), "the report calls the error's methods")
				assert.NotEmpty(t, text)
				if !place.noRow && kind != "Is and As say yes" {
					assert.NotEqual(t, shutdown.StateOK, row(t, r, "culprit").State, "%s", r)
				}
			})
		}
	}
}

func hostileCalls(err error) int32 {
	if e, ok := err.(*hostileError); ok {
		return e.calls.Load()
	}
	return 0
}

// makeRelease returns a channel that is closed when the test is over, so that what hangs ends.
func makeRelease(t *testing.T) <-chan struct{} {
	t.Helper()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return release
}

// An error that wraps itself keeps whoever follows it busy for ever.
func TestErrorThatWrapsItselfDoesNotHoldTheStop(t *testing.T) {
	for where, begin := range map[string]func(gs service, err error){
		"callback": func(gs service, err error) {
			gs.callback("culprit", 100, returns(err))
			gs.start()
			gs.Shutdown(nil)
		},
		"component": func(gs service, err error) {
			gs.component("culprit", func(ctx context.Context) error { <-ctx.Done(); return err })
			gs.start()
			gs.Shutdown(nil)
		},
		"reason": func(gs service, err error) { gs.start(); gs.Shutdown(err) },
	} {
		t.Run(where, func(t *testing.T) {
			var over atomic.Bool
			defer over.Store(true)
			err := &hostileError{}
			err.unwrap = func() error {
				if over.Load() {
					return nil
				}
				return err
			}
			gs := newService(t, shutdown.Grace(30*sec), shutdown.Logger(slog.New(slog.DiscardHandler)))
			var flushed atomic.Bool
			gs.callback("flush", shutdown.PhaseFlush, func(context.Context) error {
				flushed.Store(true)
				return nil
			})
			begin(gs, err)
			select {
			case <-gs.Done():
			case <-time.After(20 * sec): // far more than a slow machine needs
				t.Fatal("the stop goes on for ever")
			}
			assert.Less(t, gs.Report().Total, 10*sec, "nothing has hung")
			assert.True(t, flushed.Load(), "PhaseFlush has not run")
			if where != "reason" {
				assert.NotEqual(t, shutdown.StateOK, row(t, gs.Report(), "culprit").State)
			}
		})
	}
}

// Shutdown and a manager's request return at once, whatever the reason is.
func TestRequestReturnsAtOnceWhateverTheReasonIs(t *testing.T) {
	for kind, make := range hostileErrors() {
		bubble(t, kind, func(t *testing.T) {
			release := makeRelease(t)
			m := &manager{name: "m"}
			gs := newService(t)
			gs.managers(m)
			gs.start()
			err := make(release)
			begin := time.Now()
			assert.True(t, gs.Shutdown(err))
			m.request(err)
			gs.Shutdown(shutdown.Before(time.Now().Add(10*sec), err))
			assert.Zero(t, time.Since(begin))
			_ = gs.Wait()
		})
	}
}

// A panic's value is the user's as well: fmt calls its String, Error, Format and GoString.
func TestValuesOfPanicsAreCalledUnderGuard(t *testing.T) {
	for way, misbehave := range map[string]func(release <-chan struct{}){
		"panics": func(<-chan struct{}) { panic("in String") },
		"exits":  func(<-chan struct{}) { runtime.Goexit() },
		"hangs":  func(release <-chan struct{}) { <-release },
	} {
		bubble(t, way, func(t *testing.T) {
			release := makeRelease(t)
			value := encodedValue{func() { misbehave(release) }}
			gs := newService(t, shutdown.Grace(10*sec), shutdown.Logger(textLogger(new(bytes.Buffer))))
			flushed := false
			gs.component("component", func(context.Context) error { panic(value) })
			gs.callback("callback", 100, func(context.Context) error { panic(value) })
			gs.callback("flush", shutdown.PhaseFlush, func(context.Context) error {
				flushed = true
				return nil
			})
			gs.start()
			synctest.Wait()
			took, err := gs.timedStop()
			require.Error(t, err)
			assert.LessOrEqual(t, took, 12*sec)
			assert.True(t, flushed)
			r := gs.Report()
			_ = r.String()
			_, jsonErr := json.Marshal(r)
			require.NoError(t, jsonErr)
			assert.Equal(t, shutdown.StatePanic, row(t, r, "callback").State)
			assert.Equal(t, shutdown.StatePanic, row(t, r, "component").State)
		})
	}
}

type encodedValue struct{ misbehave func() }

func (v encodedValue) String() string               { v.misbehave(); return "" }
func (v encodedValue) GoString() string             { v.misbehave(); return "" }
func (v encodedValue) LogValue() slog.Value         { v.misbehave(); return slog.Value{} }
func (v encodedValue) MarshalJSON() ([]byte, error) { v.misbehave(); return nil, nil }

// A plainServer is a server of an unknown kind.
type plainServer struct {
	shutdown func(context.Context) error
	close    func() error
}

func (s *plainServer) Shutdown(ctx context.Context) error { return s.shutdown(ctx) }

func (s *plainServer) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}
