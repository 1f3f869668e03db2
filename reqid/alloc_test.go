package reqid_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/reqid"
)

const allocRuns = 200

func allocs(t *testing.T, f func()) float64 {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	return testing.AllocsPerRun(allocRuns, f)
}

// emptyWriter is a ResponseWriter that, like a new one of net/http, has an empty
// header map at each request.
type emptyWriter struct{ header http.Header }

func (w *emptyWriter) Header() http.Header         { return w.header }
func (w *emptyWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *emptyWriter) WriteHeader(int)             {}

func TestMiddlewareAllocations(t *testing.T) {
	h := reqid.Middleware()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	tests := []struct {
		name   string
		header http.Header
	}{
		{"missing", http.Header{}},
		{"adopted", http.Header{"X-Request-Id": {"abc"}}},
		{"adopted, with a trace", http.Header{"X-Request-Id": {"abc"}, "Traceparent": {traceParent}, "Tracestate": {"a=b"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header = tt.header
			w := &emptyWriter{http.Header{}}
			assert.LessOrEqual(t, allocs(t, func() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}), 4.0)
		})
	}
}

func TestLogHandlerAllocations(t *testing.T) {
	args := []slog.Attr{slog.Int("a", 1), slog.Int("b", 2), slog.String("c", "3"), slog.Bool("d", true), slog.Int("e", 5)}
	ctx := withID(t, "abc", "alice")
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil)))
	loggers := map[string]*slog.Logger{
		"plain":      log,
		"attributes": log.With("x", 1),
		"group":      log.With("x", 1).WithGroup("g").With("y", 2),
		"L":          loggerInRequest(t, slog.New(slog.NewJSONHandler(io.Discard, nil)), "abc"),
	}
	for name, log := range loggers {
		for n := range len(args) + 1 {
			for _, ctx := range []context.Context{ctx, context.Background()} {
				assert.Zero(t, allocs(t, func() {
					log.LogAttrs(ctx, slog.LevelInfo, "m", args[:n]...)
				}), "%s, %d attributes", name, n)
			}
		}
	}
}

// A request that writes only one line does not pay for a handler of its own, not even if
// the line has more attributes than fit into a record together with ours.
func TestFirstRecordAllocations(t *testing.T) {
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil)))
	attrs := []slog.Attr{slog.Int("a", 1), slog.Int("b", 2), slog.Int("c", 3), slog.Int("d", 4), slog.Int("e", 5)}
	for n, want := range map[int]float64{0: 0, 3: 0, 5: 1} {
		var contexts []context.Context
		for range allocRuns + 1 {
			contexts = append(contexts, withID(t, "abc", "alice"))
		}
		assert.LessOrEqual(t, allocs(t, func() {
			log.LogAttrs(contexts[0], slog.LevelInfo, "m", attrs[:n]...)
			contexts = contexts[1:]
		}), want, "%d attributes", n)
	}
}

// Loggers that take turns in one request do not drive each other out of the cache.
func TestLoggersInTurnAllocations(t *testing.T) {
	ctx := withID(t, "abc", "alice")
	var logs []*slog.Logger
	for range 4 {
		logs = append(logs, slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil))))
	}
	each := func() {
		for _, log := range logs {
			log.LogAttrs(ctx, slog.LevelInfo, "m", slog.Int("a", 1), slog.Int("b", 2), slog.Int("c", 3), slog.Int("d", 4))
		}
	}
	each() // the first time of each, AllocsPerRun's own first run is the second
	assert.Zero(t, allocs(t, each))
}

func TestADisabledLevelCostsNothing(t *testing.T) {
	ctx := withID(t, "abc", "alice")
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil))).WithGroup("g")
	l := loggerInRequest(t, slog.New(slog.NewJSONHandler(io.Discard, nil)), "abc")
	assert.Zero(t, allocs(t, func() {
		log.DebugContext(ctx, "m", "k", "v")
		l.Debug("m", "k", "v")
	}))
	assert.False(t, log.Enabled(ctx, slog.LevelDebug))
}

func TestSmallAllocations(t *testing.T) {
	ctx := withID(t, "abc", "alice")
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	assert.Zero(t, allocs(t, func() { _ = reqid.FromContext(inner) }))
	assert.Zero(t, allocs(t, func() { _ = reqid.User(inner) }))
	assert.Zero(t, allocs(t, func() { _ = reqid.L(inner) }))
	assert.Zero(t, allocs(t, func() { _ = reqid.Valid("123e4567-e89b-12d3-a456-426614174000") }))
	assert.Zero(t, allocs(t, func() { _, _ = reqid.ParseTraceParent(traceParent) }))
	assert.LessOrEqual(t, allocs(t, func() { _ = reqid.New() }), 1.0)
	assert.LessOrEqual(t, allocs(t, func() { reqid.SetUser(ctx, "alice") }), 1.0)
}
