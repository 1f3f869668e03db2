package shutdown_test

import (
	"bytes"
	"context"
	"net/http"
	"runtime/pprof"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// goroutines returns a profile of all goroutines, with their labels.
func goroutines(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 1))
	return b.String()
}

// A dump names the culprit: each goroutine that runs user code has one label.
func TestGoroutinesOfUserCodeHaveALabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := makeRelease(t)
		hang := func(context.Context) error { <-release; return nil }
		gs := newService(t, shutdown.Grace(10*sec), shutdown.Linger(0))
		gs.component("consumer", hang)
		l := gs.goHTTP("api", &http.Server{Handler: http.HandlerFunc(
			func(http.ResponseWriter, *http.Request) { <-release })})
		require.NoError(t, gs.GoGRPC("rpc", hangingServe{release: release}, newListener()))
		gs.managers(
			&manager{
				name:   "consul",
				begin:  func(ctx context.Context, _ error) error { return hang(ctx) },
				finish: func(ctx context.Context, _ shutdown.Report) error { return hang(ctx) },
			},
			shutdown.Poll("spot", sec, func(ctx context.Context) (bool, error) {
				return false, hang(ctx)
			}),
		)
		gs.callback("mysql", shutdown.PhaseStore, hang)
		gs.start()
		l.dial(t).send("/")
		synctest.Wait()
		text := goroutines(t)
		for _, name := range []string{"consumer", "api", "rpc", "spot"} {
			assert.Contains(t, text, `{"gracekit":"shutdown/`+name+`"}`, "before the trigger")
		}
		gs.Shutdown(nil)
		synctest.Wait()
		assert.Contains(t, goroutines(t), `{"gracekit":"shutdown/consul"}`, "in its start hook")
		_ = gs.Wait()
		stacks := string(gs.Report().Stacks)
		assert.Contains(t, stacks, `{"gracekit":"shutdown/consul"}`)
		assert.Contains(t, goroutines(t), `{"gracekit":"shutdown/mysql"}`, "after it was given up")
	})
}

// The labels of a goroutine of the caller's are the caller's.
func TestLabelsOfTheCallerAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := pprof.WithLabels(t.Context(), pprof.Labels("test", "mine"))
		look := func(when string) {
			t.Helper()
			assert.Contains(t, goroutines(t), `# labels: {"test":"mine"}`, when)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			pprof.SetGoroutineLabels(ctx)
			gs := newService(t)
			gs.managers(&manager{name: "m"})
			gs.callback("c", 100, returns(nil))
			assert.NoError(t, gs.Start(ctx))
			look("after Start")
			gs.Shutdown(nil)
			synctest.Wait()
			gs.Hurry()
			assert.NoError(t, gs.Wait())
			_, _ = gs.Report().String(), gs.Report().LogValue()
			look("after Wait")
			again := newService(t)
			again.component("stops it", returns(errTest))
			assert.Error(t, again.Run(ctx))
			look("after Run")
		}()
		<-done
	})
}
