package signals

import (
	"context"
	"os"
	"os/signal"
	"reflect"
	"runtime/pprof"
	"sync"
)

// Handle calls fn for each of the signals that arrives. It is for those that are not about
// stopping, such as SIGHUP to reload the configuration or SIGUSR1 to dump state. They are
// registered when Handle returns.
//
// fn runs in one goroutine, one call at a time. What arrives while it runs is coalesced: each
// signal that came, however often, is handled once more; in which order is not defined. fn gets a
// context that ends with ctx or stop. A panic in fn is not recovered. The goroutine has the pprof
// label gracekit=signals/hangup, or gracekit=signals/handle if there are several signals.
//
// When ctx ends, no further call begins and the goroutine ends, but the signals stay taken until
// stop is called. A SIGHUP from a log rotation that comes while the program shuts down is then
// without effect, where its default disposition would kill the process. stop releases the signals.
// It does not wait for a call in progress, so fn may call it. It is safe for concurrent use and
// does nothing the second time.
//
// A signal that the process inherited as ignored stays ignored. Unlike [NotifyContext], Handle does
// not take SIGPIPE: a command that reloads on SIGHUP but does not handle its end has nothing to
// finish, and should end in a pipe into head as others do. Handle panics if fn is nil, if there is
// no signal, or one that is nil or that no process can catch.
func Handle(
	ctx context.Context, fn func(context.Context, os.Signal), sigs ...os.Signal,
) (stop func()) {
	return handle("Handle", ctx, nil, fn, sigs)
}

// HandleFrom is [Handle] with the signals that arrive on source in place of the operating system's,
// unless source is nil. A program that has such a channel can be tested without real signals,
// inside a [testing/synctest] bubble too. Signals other than sigs are dropped, as the operating
// system would not deliver them. If source is closed, that is no signal. A second goroutine
// receives from it until ctx ends or stop is called.
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
		// A channel of one place for each signal, because os/signal drops what does not fit: that
		// is the coalescing, and no number of SIGHUP crowds out a SIGUSR1.
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

	go func() {
		pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("gracekit", "signals/"+label)))
		for {
			_, received, _ := reflect.Select(cases)
			// With several cases ready, Select picks any: an ended context has to win.
			if ctx.Err() != nil {
				return
			}
			fn(ctx, received.Interface().(os.Signal))
		}
	}()
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

// find returns the channel of a signal, nil for one that is not handled.
func find(handled []pending, sig os.Signal) chan os.Signal {
	for _, p := range handled {
		if same(p.sig, sig) {
			return p.c
		}
	}
	return nil
}

// forward does for a source what os/signal does for the operating system.
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
			case find(handled, sig) <- sig: // nil is never ready
			default:
			}
		}
	}
}
