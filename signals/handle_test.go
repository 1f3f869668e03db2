package signals_test

import (
	"context"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/signals"
)

func TestHandleFrom(t *testing.T) {
	t.Run("one call at a time, repeats coalesced", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			var calls []os.Signal
			stop := signals.HandleFrom(t.Context(), source, func(_ context.Context, sig os.Signal) {
				calls = append(calls, sig)
				time.Sleep(time.Second)
			}, os.Interrupt, syscall.SIGTERM, os.Interrupt)
			defer stop()
			source <- os.Interrupt
			synctest.Wait()
			assert.Equal(t, []os.Signal{os.Interrupt}, calls)
			for range 10 { // while the first call runs
				source <- os.Interrupt
			}
			source <- syscall.SIGTERM
			time.Sleep(time.Hour)
			synctest.Wait()
			assert.Equal(t, os.Interrupt, calls[0])
			assert.ElementsMatch(t, []os.Signal{os.Interrupt, syscall.SIGTERM}, calls[1:])
		})
	})
	t.Run("each signal, also after a call that has exited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			var calls atomic.Int32
			stop := signals.HandleFrom(t.Context(), source, func(context.Context, os.Signal) {
				calls.Add(1)
				runtime.Goexit()
			}, os.Interrupt)
			defer stop()
			for want := range int32(3) {
				source <- os.Interrupt
				synctest.Wait()
				assert.Equal(t, want+1, calls.Load())
			}
		})
	})
	t.Run("other signals are dropped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			calls := 0
			count := func(context.Context, os.Signal) { calls++ }
			stop := signals.HandleFrom(t.Context(), source, count, os.Interrupt, odd{"a"})
			defer stop()
			for _, sig := range []os.Signal{syscall.SIGTERM, odd{"a"}, odd{"b"}, nil} {
				source <- sig
			}
			synctest.Wait()
			assert.Zero(t, calls)
			source <- os.Interrupt
			synctest.Wait()
			assert.Equal(t, 1, calls)
		})
	})
	t.Run("a closed source is no signal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			fail := func(context.Context, os.Signal) { t.Error("called") }
			stop := signals.HandleFrom(t.Context(), source, fail, os.Interrupt)
			defer stop()
			close(source)
			time.Sleep(time.Hour)
		})
	})
	for name, by := range map[string]func(cancel, stop func()){
		"ctx":  func(cancel, stop func()) { cancel(); cancel() },
		"stop": func(cancel, stop func()) { stop(); stop() },
	} {
		t.Run("it ends by "+name+", and so does the context of a call", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which ends only when the goroutines have
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				source := make(chan os.Signal, 1)
				calls := 0
				stop := signals.HandleFrom(ctx, source, func(ctx context.Context, _ os.Signal) {
					calls++
					<-ctx.Done()
				}, os.Interrupt)
				source <- os.Interrupt
				synctest.Wait()
				source <- os.Interrupt // waits for the call to return
				synctest.Wait()
				by(cancel, stop)
				synctest.Wait()
				source <- os.Interrupt
				synctest.Wait()
				assert.Equal(t, 1, calls, "called after the end")
				assert.Len(t, source, 1, "read after the end")
			})
		})
	}
}
