package signals

import (
	"context"
	"os"
	"os/signal"
	"reflect"
	"runtime/pprof"
	"sync"
)

// Handle calls fn for each arrival of one of the signals. It is for signals that are not about
// stopping, such as SIGHUP to reload the configuration or SIGUSR1 to dump state. They are
// registered when Handle returns.
//
// fn runs in one goroutine, one call at a time. A signal that arrives while it runs, however often,
// is handled once afterwards; the order among several is not defined. fn gets a context that ends
// with ctx or stop. A panic in fn is not recovered. The goroutine has the pprof label
// gracekit=signals/hangup, or gracekit=signals/handle if there are several signals.
//
// When ctx ends, no further call begins and the goroutine ends, but the signals stay taken until
// stop is called. So a SIGHUP from a log rotation during the shutdown has no effect, where its
// default disposition would kill the process. stop releases the signals. It does not wait for a
// call in progress, so fn may call it. It is safe for concurrent use and does nothing the second
// time.
//
// A signal that the process inherited as ignored stays ignored. Unlike [NotifyContext], Handle does
// not take SIGPIPE: a command that only reloads on SIGHUP has nothing to finish, and should end
// like others when it writes to a pipe whose reader has gone. Handle panics if fn is nil, if there
// is no signal, or if one is nil or cannot be caught.
func Handle(
	ctx context.Context, fn func(context.Context, os.Signal), sigs ...os.Signal,
) (stop func()) {
	return handle("Handle", ctx, nil, fn, sigs)
}

// HandleFrom is [Handle] with the signals that arrive on source instead of those of the operating
// system; with a nil source it is Handle. It lets a program be tested without real signals, even
// inside a [testing/synctest] bubble. Signals other than sigs are dropped, as the operating system
// would not deliver them. Closing source is not a signal. A second goroutine receives from source
// until ctx ends, stop is called or source is closed.
func HandleFrom(
	ctx context.Context, source <-chan os.Signal,
	fn func(context.Context, os.Signal), sigs ...os.Signal,
) (stop func()) {
	return handle("HandleFrom", ctx, source, fn, sigs)
}

func handle(
	name string, ctx context.Context, source <-chan os.Signal,
	fn func(context.Context, os.Signal), sigs []os.Signal,
) (stop func()) {
	if fn == nil {
		panic("signals: " + name + ": fn must not be nil")
	}
	checkSignals(name, sigs)
	label := "handle"
	if len(sigs) == 1 {
		label = sigs[0].String()
	}

	ctx, cancel := context.WithCancel(ctx)
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
	var handled []pending
	for _, sig := range sigs {
		if find(handled, sig) != nil {
			continue
		}
		// One channel of size 1 for each signal, because os/signal drops what does not fit: this
		// coalesces, and no number of SIGHUPs crowds out a SIGUSR1.
		c := make(chan os.Signal, 1)
		handled = append(handled, pending{sig, c})
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)})
		if source == nil {
			register(c, []os.Signal{sig})
		}
	}
	if source != nil {
		go forward(ctx, source, handled)
	}

	var listen func()
	listen = func() {
		over := false
		defer func() {
			if !over { // fn has called runtime.Goexit
				go listen()
			}
		}()
		pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("gracekit", "signals/"+label)))
		for {
			_, received, _ := reflect.Select(cases)
			// Select picks any of the ready cases, but an ended context has to win.
			if over = ctx.Err() != nil; over {
				return
			}
			fn(ctx, received.Interface().(os.Signal))
		}
	}
	go listen()
	return sync.OnceFunc(func() {
		for _, p := range handled {
			signal.Stop(p.c)
		}
		cancel()
	})
}

// A pending channel holds a signal that has arrived and waits to be handled.
type pending struct {
	sig os.Signal
	c   chan os.Signal
}

// find returns the channel of a signal, or nil if it is not handled.
func find(handled []pending, sig os.Signal) chan os.Signal {
	for _, p := range handled {
		if same(p.sig, sig) {
			return p.c
		}
	}
	return nil
}

// forward does for source what os/signal does for the operating system's signals.
func forward(ctx context.Context, source <-chan os.Signal, handled []pending) {
	for {
		select {
		case <-ctx.Done():
			return
		case sig, open := <-source:
			if !open {
				return
			}
			select {
			case find(handled, sig) <- sig: // a nil channel is never ready
			default:
			}
		}
	}
}
