package shutdown_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// badAdds are calls before Start that are refused.
var badAdds = map[string]func(gs service) error{
	"AddManager":    func(gs service) error { return gs.AddManager(nil) },
	"AddCallback":   func(gs service) error { return gs.AddCallback(shutdown.Callback{Name: "c"}) },
	"Closer of nil": func(gs service) error { return gs.AddCallback(shutdown.Closer("mysql", nil)) },
	"Register": func(gs service) error {
		_, err := gs.Register(shutdown.Callback{})
		return err
	},
	"Go":            func(gs service) error { return gs.Go("", untilStopped) },
	"Go of nil":     func(gs service) error { return gs.Go("worker", nil) },
	"AddHTTPServer": func(gs service) error { return gs.AddHTTPServer("api", nil) },
	"AddHTTPServer, InPhase": func(gs service) error {
		return gs.AddHTTPServer("api", &http.Server{}, shutdown.InPhase(shutdown.PhaseFlush))
	},
	"AddGRPCServer": func(gs service) error { return gs.AddGRPCServer("", grpcServer{}) },
	"AddGRPCServer, InPhase": func(gs service) error {
		return gs.AddGRPCServer("rpc", grpcServer{}, shutdown.InPhase(shutdown.PhaseFlush))
	},
	"AddServer": func(gs service) error { return gs.AddServer("echo", nil) },
	"AddServer, InPhase": func(gs service) error {
		return gs.AddServer("echo", &plainServer{shutdown: returns(nil)},
			shutdown.InPhase(shutdown.PhaseFlush))
	},
	"GoHTTP": func(gs service) error { return gs.GoHTTP("api", nil, newListener()) },
	"GoHTTP, no name": func(gs service) error {
		return gs.GoHTTP("", &http.Server{}, newListener())
	},
	"GoHTTP, no listener": func(gs service) error { return gs.GoHTTP("api", &http.Server{}, nil) },
	"GoGRPC":              func(gs service) error { return gs.GoGRPC("rpc", nil, newListener()) },
	"GoGRPC, no listener": func(gs service) error { return gs.GoGRPC("rpc", &rpcServer{}, nil) },
	"HoldListener": func(gs service) error {
		_, err := gs.HoldListener(nil)
		return err
	},
}

// An error that nobody looked at comes out of Start and Run, and nothing is started.
func TestErrorsOfAddComeOutOfStartAndRun(t *testing.T) {
	for name, add := range badAdds {
		if name == "HoldListener" {
			continue // neither Add… nor Go…: its result cannot be left unlooked at
		}
		begin := func(t *testing.T) (gs service, good *listener, addErr error) {
			gs, good = newService(t), newListener()
			never := func(context.Context) error { t.Error("started"); return nil }
			gs.managers(&manager{name: "m", start: func(ctx context.Context, _ func(error)) error {
				return never(ctx)
			}})
			gs.component("worker", never)
			require.NoError(t, gs.GoHTTP("good", &http.Server{ErrorLog: nil}, good))
			addErr = add(gs)
			require.Error(t, addErr)
			return gs, good, addErr
		}
		bubble(t, name+", Start", func(t *testing.T) {
			gs, _, addErr := begin(t)
			for range 2 {
				assert.EqualError(t, gs.Start(t.Context()), addErr.Error())
				assert.ErrorIs(t, gs.Start(t.Context()), addErr)
			}
			assert.False(t, gs.isDraining())
			require.NoError(t, gs.stop(), "what is wrong was said by Start")
		})
		bubble(t, name+", Run", func(t *testing.T) {
			gs, good, addErr := begin(t)
			flushed := gs.flushing()
			err := gs.Run(t.Context())
			assert.ErrorIs(t, err, addErr)
			assert.EqualError(t, err, addErr.Error())
			assert.True(t, flushed.Load(), "the callbacks run")
			assertClosed(t, good)
			assert.Error(t, gs.Report().Reason)
		})
	}
}

func assertClosed(t *testing.T, l *listener) {
	t.Helper()
	select {
	case <-l.closed:
	default:
		t.Error("the listener is still open")
	}
}

func TestErrorsOfAddAreJoined(t *testing.T) {
	bubble(t, "in the order of the calls", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec))
		first := gs.AddCallback(shutdown.Callback{Name: "c"})
		second := gs.Go("", untilStopped)
		err := gs.Start(t.Context())
		assert.EqualError(t, err, first.Error()+"\n"+second.Error())
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Zero(t, took, "Delay although nothing has started")
	})
	bubble(t, "not those of what came too late", func(t *testing.T) {
		gs := newService(t)
		gs.Shutdown(nil)
		require.ErrorIs(t, gs.Go("late", untilStopped), shutdown.ErrShuttingDown)
		require.ErrorIs(t, gs.AddCallback(shutdown.Callback{Name: "c", Func: returns(nil)}),
			shutdown.ErrShuttingDown)
		assert.NoError(t, gs.Run(t.Context()))
	})
	bubble(t, "not those of calls after Start", func(t *testing.T) {
		gs := newService(t)
		gs.start()
		assert.ErrorIs(t, gs.AddManager(&manager{name: "m"}), shutdown.ErrAlreadyStarted)
		assert.Error(t, gs.AddCallback(shutdown.Callback{}))
		assert.Error(t, gs.Go("", nil))
		require.NoError(t, gs.stop())
	})
}

// A listener belongs to the service from the call on.
func TestListenersOfARefusedGoAreClosed(t *testing.T) {
	for name, refused := range map[string]func(gs service, l *listener) error{
		"GoHTTP, no name": func(gs service, l *listener) error {
			return gs.GoHTTP("", &http.Server{}, l)
		},
		"GoHTTP, no server": func(gs service, l *listener) error { return gs.GoHTTP("api", nil, l) },
		"GoGRPC, no name": func(gs service, l *listener) error {
			return gs.GoGRPC("", &rpcServer{}, l)
		},
		"GoGRPC, no server": func(gs service, l *listener) error { return gs.GoGRPC("rpc", nil, l) },
		"GoHTTP after the trigger": func(gs service, l *listener) error {
			gs.Shutdown(nil)
			return gs.GoHTTP("late", &http.Server{}, l)
		},
		"GoGRPC after the trigger": func(gs service, l *listener) error {
			gs.Shutdown(nil)
			return gs.GoGRPC("late", &rpcServer{}, l)
		},
	} {
		bubble(t, name, func(t *testing.T) {
			gs, l := newService(t), newListener()
			require.Error(t, refused(gs, l))
			assertClosed(t, l)
			_ = gs.Run(t.Context())
		})
	}
}

// What was accepted and never served is closed when the service stops without having started.
func TestListenersAreClosedWithoutAStart(t *testing.T) {
	for name, stop := range map[string]func(gs service){
		"Shutdown and Wait": func(gs service) { _ = gs.stop() },
		"Shutdown and Run": func(gs service) {
			gs.Shutdown(nil)
			require.NoError(gs.t, gs.Run(gs.t.Context()))
		},
		"Run with a context that has ended": func(gs service) {
			ctx, cancel := context.WithCancel(gs.t.Context())
			cancel()
			require.NoError(gs.t, gs.Run(ctx))
		},
		"Run whose manager fails": func(gs service) {
			gs.managers(&manager{name: "m", start: func(context.Context, func(error)) error {
				return errTest
			}})
			require.ErrorIs(gs.t, gs.Run(gs.t.Context()), errTest)
		},
	} {
		bubble(t, name, func(t *testing.T) {
			gs, a, b := newService(t), newListener(), newListener()
			require.NoError(t, gs.GoHTTP("api", &http.Server{}, a))
			require.NoError(t, gs.GoGRPC("rpc", &rpcServer{}, b))
			stop(gs)
			assertClosed(t, a)
			assertClosed(t, b)
		})
	}
}
