package reqid_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gracekit/gracekit/reqid"
)

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = reqid.New()
	}
}

type handKey struct{}

// byHand is the snippet that this package replaces: no validation, no holder for the user. It is
// here for comparison only.
func byHand(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-ID")
		if id == "" {
			var raw [16]byte
			rand.Read(raw[:])
			id = hex.EncodeToString(raw[:])
		}
		w.Header().Set("X-Request-ID", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), handKey{}, id)))
	})
}

func BenchmarkMiddleware(b *testing.B) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, handler := range []struct {
		name string
		http.Handler
	}{
		{"reqid", reqid.Middleware()(nothing)},
		{"by hand", byHand(nothing)},
	} {
		for _, request := range []struct {
			name   string
			header http.Header
		}{
			{"missing", http.Header{}},
			{"adopted", http.Header{"X-Request-Id": {"123e4567-e89b-12d3-a456-426614174000"}}},
		} {
			b.Run(handler.name+"/"+request.name, func(b *testing.B) {
				r := httptest.NewRequest("GET", "/", nil)
				r.Header = request.header
				w := &emptyWriter{http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					if request.name == "missing" {
						clear(r.Header) // where the one before was put
					}
					handler.ServeHTTP(w, r)
				}
			})
		}
	}
}

var fiveAttrs = []slog.Attr{
	slog.String("method", "GET"), slog.String("path", "/v1/users"), slog.Int("status", 200),
	slog.Int64("bytes", 1234), slog.Bool("cached", false),
}

// BenchmarkLog compares LogHandler with the two attributes put by hand: into a logger made once
// (With), and into every call (args).
func BenchmarkLog(b *testing.B) {
	const id, user = "4bf92f3577b34da6a3ce929d0e0e4736", "alice"
	ctx := withID(b, id, user)
	plain := slog.New(slog.NewJSONHandler(io.Discard, nil))
	with := slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil)))
	two := []slog.Attr{slog.String("requestID", id), slog.String("username", user)}
	for _, n := range []struct {
		name  string
		attrs []slog.Attr
	}{{"3", fiveAttrs[:3]}, {"5", fiveAttrs}} {
		loggers := []struct {
			name  string
			log   *slog.Logger
			attrs []slog.Attr
		}{
			{"without", plain, n.attrs},
			{"by hand, With", plain.With("requestID", id, "username", user), n.attrs},
			{"by hand, args", plain, append(two[:2:2], n.attrs...)},
			{"LogHandler", with, n.attrs},
			{"LogHandler, group", with.WithGroup("g"), n.attrs},
			{"L", loggerWithUser(b, plain, id, user), n.attrs},
		}
		for _, l := range loggers {
			b.Run(n.name+" attributes/"+l.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					l.log.LogAttrs(ctx, slog.LevelInfo, "request", l.attrs...)
				}
			})
		}
	}
}

func loggerWithUser(b *testing.B, log *slog.Logger, id, user string) (l *slog.Logger) {
	inRequest(b, id, func(ctx context.Context) {
		reqid.SetUser(ctx, user)
		l = reqid.L(ctx)
	}, reqid.Logger(log))
	return l
}

// BenchmarkLogRequest is a whole request's logging: a new context and some records.
func BenchmarkLogRequest(b *testing.B) {
	const id, user = "4bf92f3577b34da6a3ce929d0e0e4736", "alice"
	plain := slog.New(slog.NewJSONHandler(io.Discard, nil))
	with := slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil)))
	for _, n := range []struct {
		name    string
		records int
	}{{"1 record", 1}, {"10 records", 10}} {
		b.Run(n.name+"/by hand, With", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx := withID(b, id, user)
				log := plain.With("requestID", id, "username", user)
				for range n.records {
					log.LogAttrs(ctx, slog.LevelInfo, "request", fiveAttrs[:3]...)
				}
			}
		})
		b.Run(n.name+"/LogHandler", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx := withID(b, id, user)
				for range n.records {
					with.LogAttrs(ctx, slog.LevelInfo, "request", fiveAttrs[:3]...)
				}
			}
		})
	}
}

func BenchmarkTransport(b *testing.B) {
	ctx := withID(b, reqid.New(), "")
	req := httptest.NewRequestWithContext(ctx, "GET", "http://api.svc.cluster.local/", nil)
	req.Header.Set("Accept", "application/json")
	rt := reqid.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return nil, nil
	}), reqid.Hosts("api.internal", "*.svc.cluster.local"))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = rt.RoundTrip(req)
	}
}

func BenchmarkParseTraceParent(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = reqid.ParseTraceParent(traceParent)
	}
}
