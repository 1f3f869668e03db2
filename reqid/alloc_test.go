package reqid_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/reqid"
)

func TestMiddlewareAllocations(t *testing.T) {
	h := reqid.Middleware()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	tests := []struct {
		name   string
		header http.Header
	}{
		{"missing", http.Header{}},
		{"missing, with a trace", http.Header{"Traceparent": {traceParent}, "Tracestate": {"a=b"},
			"Baggage": {"k=v"}}},
		{"adopted", http.Header{"X-Request-Id": {"abc"}}},
		{"adopted, with a trace", http.Header{"X-Request-Id": {"abc"},
			"Traceparent": {traceParent}}},
		{"not valid", http.Header{"X-Request-Id": {"a b"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			w := &emptyWriter{http.Header{}}
			inbound := tt.header["X-Request-Id"]
			r.Header = tt.header
			assert.LessOrEqual(t, allocs(t, func() {
				clear(w.header)
				if delete(r.Header, "X-Request-Id"); inbound != nil {
					r.Header["X-Request-Id"] = inbound
				}
				h.ServeHTTP(w, r)
			}), 3.0)
		})
	}
}

// All that a request costs beside Middleware, with ten records: its context and its user.
func TestTenRecordsAllocations(t *testing.T) {
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil)))
	request := func() {
		ctx := withID(t, "4bf92f3577b34da6a3ce929d0e0e4736", "alice")
		for range 10 {
			log.LogAttrs(ctx, slog.LevelInfo, "m", slog.Int("a", 1), slog.Int("b", 2),
				slog.String("c", "3"))
		}
	}
	assert.LessOrEqual(t, allocs(t, request), 2.0)
	const requests = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range requests {
		request()
	}
	runtime.ReadMemStats(&after)
	assert.LessOrEqual(t, (after.TotalAlloc-before.TotalAlloc)/requests, uint64(200),
		"bytes a request")
}

func TestLogHandlerAllocations(t *testing.T) {
	args := []slog.Attr{slog.Int("a", 1), slog.Int("b", 2), slog.String("c", "3")}
	ctx := withID(t, "abc", "alice")
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil)))
	tests := []struct {
		name string
		log  *slog.Logger
		want float64
	}{
		{"plain", log, 0},
		{"attributes", log.With("x", 1), 0},
		{"group", log.With("x", 1).WithGroup("g").With("y", 2), 1},
		{"groups", log.WithGroup("g").WithGroup("h"), 2},
		{"L", loggerInRequest(t, slog.New(slog.NewJSONHandler(io.Discard, nil)), "abc"), 0},
	}
	for _, tt := range tests {
		for n := range len(args) + 1 {
			assert.LessOrEqual(t, allocs(t, func() {
				tt.log.LogAttrs(ctx, slog.LevelInfo, "m", args[:n]...)
			}), tt.want, "%s, %d attributes", tt.name, n)
			assert.Zero(t, allocs(t, func() {
				log.LogAttrs(context.Background(), slog.LevelInfo, "m", args[:n]...)
			}), "%s, %d attributes, no request", tt.name, n)
		}
	}
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
