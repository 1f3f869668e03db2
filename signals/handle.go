package signals

import (
	"context"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"sync"
)

// Handle calls fn for each of the signals that arrives: for those that are not about stopping, such as SIGHUP
// to reload the configuration or SIGUSR1 to dump state. They are registered when Handle returns.
//
// fn runs in one goroutine, one call at a time. What arrives while it runs is coalesced: each signal that came,
// however often, is handled once more; in which order is not defined. fn gets a context that ends with ctx or stop.
// A panic in fn is not recovered.
//
// When ctx ends, no further call begins and the goroutine ends, but the signals stay taken until stop is called: a
// SIGHUP from a log rotation that comes while the program shuts down is then without effect, where
// its default disposition would kill the process. stop releases the signals; it does not wait for a call
// in progress, so fn may call it. It is safe for concurrent use and does nothing the second time.
//
// A signal that the process inherited as ignored stays ignored. Handle panics if fn is nil, if there is no signal,
// or one that is nil or that no process can catch.
func Handle(ctx context.Context, fn func(context.Context, os.Signal), sigs ...os.Signal) (stop func()) {
	if fn == nil {
		panic("signals: Handle: fn must not be nil")
	}
	checkSignals("Handle", sigs)

	ctx, cancel := context.WithCancel(ctx)
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
	var registered []chan os.Signal
	for i, sig := range sigs {
		if slices.Contains(sigs[:i], sig) {
			continue
		}
		// A channel of one place for each signal: os/signal drops what does not fit, which is the coalescing, and
		// no number of SIGHUP crowds out a SIGUSR1.
		c := make(chan os.Signal, 1)
		register(c, []os.Signal{sig})
		registered = append(registered, c)
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)})
	}

	go func() {
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
		for _, c := range registered {
			signal.Stop(c)
		}
		cancel()
	})
}
