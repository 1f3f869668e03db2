package reqid_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

func TestExtractThenInjectChangesNothing(t *testing.T) {
	tests := []struct {
		name string
		in   metadata
	}{
		{"ID alone", metadata{"x-request-id": {"abc"}}},
		{"ID and root", metadata{"x-request-id": {"abc"}, "x-root-request-id": {"first"}}},
		{"trace", metadata{"x-request-id": {"abc"}, "traceparent": {traceParent}}},
		{"trace with state", metadata{"x-request-id": {"abc"}, "traceparent": {traceParent},
			"tracestate": {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}}},
		{"trace with unknown flags", metadata{"x-request-id": {"abc"},
			"traceparent": {"00-" + specTrace + "-" + specParent + "-ff"}}},
		{"baggage, without a trace", metadata{"x-request-id": {"abc"},
			"baggage": {"userId=alice,k=v;p=1"}}},
		{"trace of a higher version", metadata{"x-request-id": {"abc"},
			"traceparent": {"cc-" + specTrace + "-" + specParent +
				"-01-what-the-future-will-be-like"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, err := reqid.Extract(t.Context(), tt.in.get)
			require.NoError(t, err)
			assert.Equal(t, tt.in, inject(ctx))
		})
	}
}

func TestExtractDropsWhatMustNotBeSentOn(t *testing.T) {
	tests := []struct {
		name string
		in   metadata
		want metadata
	}{
		{"no valid trace: no state", metadata{"traceparent": {"x"}, "tracestate": {"a=b"}},
			metadata{}},
		{"state alone", metadata{"tracestate": {"a=b"}}, metadata{}},
		{"two traces", metadata{"traceparent": {traceParent, traceParent}}, metadata{}},
		{"several states are one list", metadata{"traceparent": {traceParent},
			"tracestate": {"a=b", "c=d"}}, metadata{"traceparent": {traceParent},
			"tracestate": {"a=b,c=d"}}},
		{"state with a line feed", metadata{"traceparent": {traceParent},
			"tracestate": {"a=b\r\nX-Evil: 1"}}, metadata{"traceparent": {traceParent}}},
		{"state outside ASCII", metadata{"traceparent": {traceParent}, "tracestate": {"a=é"}},
			metadata{"traceparent": {traceParent}}},
		{"state with the ends of printable ASCII and a tab",
			metadata{"traceparent": {traceParent}, "tracestate": {"a=1 \t,b=~"}},
			metadata{"traceparent": {traceParent}, "tracestate": {"a=1  ,b=~"}}},
		{"several lines of baggage are one list", metadata{"baggage": {"a=b", "c=d"}},
			metadata{"baggage": {"a=b,c=d"}}},
		{"baggage with a line feed", metadata{"baggage": {"a=b\r\nX-Evil: 1"}}, metadata{}},
		{"baggage as long as it may be", metadata{"baggage": {strings.Repeat("a", 8192)}},
			metadata{"baggage": {strings.Repeat("a", 8192)}}},
		{"baggage too long", metadata{"baggage": {strings.Repeat("a", 8193)}}, metadata{}},
		{"state as long as it may be", metadata{"traceparent": {traceParent},
			"tracestate": {strings.Repeat("a", 4096)}},
			metadata{"traceparent": {traceParent}, "tracestate": {strings.Repeat("a", 4096)}}},
		{"state too long", metadata{"traceparent": {traceParent},
			"tracestate": {strings.Repeat("a", 4097)}}, metadata{"traceparent": {traceParent}}},
		{"trace with a line feed", metadata{"traceparent": {"cc" + traceParent[2:] + "-\n"}},
			metadata{}},
		{"trace too long", metadata{"traceparent": {"cc" + traceParent[2:] + "-" +
			strings.Repeat("a", 512)}}, metadata{}},
		{"root that is not valid", metadata{"x-root-request-id": {"a b"}}, metadata{}},
		{"two roots", metadata{"x-root-request-id": {"a", "b"}}, metadata{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in["x-request-id"] = []string{"abc"}
			tt.want["x-request-id"] = []string{"abc"}
			ctx, err := reqid.Extract(t.Context(), tt.in.get)
			require.NoError(t, err)
			assert.Equal(t, tt.want, inject(ctx))
		})
	}
}

func TestExtractWithoutAnIDMakesOne(t *testing.T) {
	ctx, err := reqid.Extract(t.Context(),
		metadata{"traceparent": {traceParent}, "x-root-request-id": {"first"}}.get)
	require.NoError(t, err)
	id := reqid.FromContext(ctx)
	assert.Regexp(t, hexID, id)
	assert.Equal(t, metadata{"x-request-id": {id}, "traceparent": {traceParent}}, inject(ctx),
		"a root without an ID is of no request")
	trace, ok := reqid.Trace(ctx)
	assert.True(t, ok)
	assert.Equal(t, traceParent, trace.String())
}

func TestExtractReportsWhatItReplaced(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   string
	}{
		{"empty", []string{""}, `""`},
		{"10,000", make([]string, 10000), `10000 values of x-request-id, the first ""`},
		{"two", []string{"a", "b"}, `2 values of x-request-id, the first "a"`},
		{"too long", []string{strings.Repeat("a", 900<<10)},
			`"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"... (921600 bytes)`},
		{"40 bytes, shown whole", []string{strings.Repeat(" ", 40)},
			`: "` + strings.Repeat(" ", 40) + `":`},
		{"41 bytes", []string{strings.Repeat(" ", 41)},
			`"` + strings.Repeat(" ", 40) + `"... (41 bytes)`},
		{"line feed", []string{"a\r\nb"}, `"a\r\nb"`},
		{"U+2028", []string{"a\u2028b"}, `"a\u2028b"`},
		{"invalid UTF-8", []string{"a\xff"}, `"a\xff"`},
		{"JSON", []string{`","level":"error`}, `"\",\"level\":\"error"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, err := reqid.Extract(t.Context(), metadata{"x-request-id": tt.values}.get)
			require.ErrorIs(t, err, reqid.ErrInvalidID)
			assert.ErrorContains(t, err, tt.want)
			assert.Less(t, len(err.Error()), 400)
			assert.Regexp(t, hexID, reqid.FromContext(ctx))
		})
	}
}

func TestExtractTakesNothingFromTheContextBefore(t *testing.T) {
	ctx, err := reqid.NewContext(t.Context(), "consumer")
	require.NoError(t, err)
	require.True(t, reqid.SetUser(ctx, "consumer"))
	ctx, err = reqid.Extract(ctx, metadata{"x-request-id": {"message"}}.get)
	require.NoError(t, err)
	assert.Equal(t, "message", reqid.FromContext(ctx))
	assert.Empty(t, reqid.User(ctx))
}

func TestInjectWithoutAnIDDoesNothing(t *testing.T) {
	assert.Empty(t, inject(t.Context()))
}

func TestExtractReadsHTTPHeaders(t *testing.T) {
	h := http.Header{}
	h.Set("X-Request-ID", "abc")
	ctx, err := reqid.Extract(t.Context(), h.Values)
	require.NoError(t, err)
	out := http.Header{}
	reqid.Inject(ctx, out.Set)
	assert.Equal(t, h, out)
}

// A gRPC service has the same options as an HTTP service.
func TestExtractTakesTheOptionsOfMiddleware(t *testing.T) {
	type key struct{}
	parent := context.WithValue(t.Context(), key{}, specTrace)
	fromContext := func(ctx context.Context) string {
		id, _ := ctx.Value(key{}).(string)
		return id
	}
	traced := metadata{"traceparent": {"00-" + suiteTrace + "-" + suiteSpan + "-00"}}
	tests := []struct {
		name string
		in   metadata
		opts []reqid.Option
		id   string            // "" is a fresh one
		log  map[string]string // beside the ID
		err  string
	}{
		{"Chain", metadata{"x-request-id": {"caller"}, "x-root-request-id": {"first"}},
			[]reqid.Option{reqid.Chain()}, "",
			map[string]string{"parentRequestID": "caller", "rootRequestID": "first"}, ""},
		{"Generator", metadata{}, []reqid.Option{reqid.Generator(fromContext)}, specTrace, nil, ""},
		{"AdoptTrace", traced, []reqid.Option{nil, reqid.AdoptTrace()}, suiteTrace, nil, ""},
		{"Span", traced, []reqid.Option{reqid.Span(fromContext)}, specTrace, nil, ""},
		{"MaxLen", metadata{"x-request-id": {"123"}}, []reqid.Option{reqid.MaxLen(2)}, "", nil,
			`"123": want 1 to 2 of`},
		{"Header", metadata{"x-correlation-id": {"abc"}},
			[]reqid.Option{reqid.Header("X-Correlation-ID")}, "abc", nil, ""},
		{"Header, two values", metadata{"x-correlation-id": {"a", "b"}},
			[]reqid.Option{reqid.Header("X-Correlation-ID")}, "", nil,
			"2 values of x-correlation-id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			logger := reqid.Logger(slog.New(slog.NewJSONHandler(&out, nil)))
			ctx, err := reqid.Extract(parent, tt.in.get, append(tt.opts, logger)...)
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.err)
			}
			id := reqid.FromContext(ctx)
			if tt.id == "" {
				assert.Regexp(t, hexID, id)
			} else {
				assert.Equal(t, tt.id, id)
			}
			want := map[string]any{"level": "INFO", "msg": "m", "requestID": id}
			for key, value := range tt.log {
				want[key] = value
			}
			reqid.L(ctx).Info("m")
			assert.Equal(t, want, parse(t, out.String()))
		})
	}
}

func FuzzExtract(f *testing.F) {
	f.Add("abc", "", "root", traceParent, "a=b", "k=v", true)
	f.Add(`","level":"error`, "b", "", "cc"+traceParent[2:]+"-x", "a=\n", "k=v\n", false)
	f.Add("a\u2028", "", "\xff", "", "", "\xff", true)
	f.Add(strings.Repeat("a", 200), "", "", strings.ToUpper(traceParent), "", "", false)
	f.Fuzz(func(t *testing.T, id, second, root, trace, state, baggage string, both bool) {
		in := metadata{
			"x-request-id": {id}, "x-root-request-id": {root},
			"traceparent": {trace}, "tracestate": {state}, "baggage": {baggage},
		}
		if both {
			in["x-request-id"] = append(in["x-request-id"], second)
		}
		ctx, err := reqid.Extract(context.Background(), in.get)
		got := reqid.FromContext(ctx)
		if !reqid.Valid(got) {
			t.Fatalf("got ID %q, want a valid one", got)
		}
		if adopted, want := got == id, !both && reqid.Valid(id); adopted != want ||
			(err == nil) != want {
			t.Fatalf("Extract(%q): got %q and %v, want adopted: %v", in, got, err, want)
		}
		if err != nil && len(err.Error()) > 600 {
			t.Fatalf("got an error text of %d bytes, want at most 600", len(err.Error()))
		}
		if err != nil && strings.ContainsFunc(err.Error(),
			func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("got error text %q, want printable ASCII", err)
		}
		out := inject(ctx)
		for key, values := range out {
			if values[0] == "" || strings.ContainsFunc(values[0],
				func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("Inject(%q): got %q, want a value fit for a header", key, values[0])
			}
		}
		// What was let through once is let through again, unchanged.
		again, err := reqid.Extract(context.Background(), out.get)
		if err != nil {
			t.Fatal(err)
		}
		assert.Equal(t, out, inject(again))
	})
}

// fasthttp and fiber use the memory of a request's strings again for the next one.
func TestExtractAndDetachKeepNoStringOfTheirs(t *testing.T) {
	memory := []byte("aaaa-first")
	reused := unsafe.String(&memory[0], len(memory))
	ctx, err := reqid.Extract(t.Context(), metadata{
		"x-request-id": {reused}, "baggage": {reused},
	}.get)
	require.NoError(t, err)
	var detached context.Context
	reqid.Middleware()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		detached = reqid.Detach(r.Context())
	})).ServeHTTP(httptest.NewRecorder(), &http.Request{Header: http.Header{
		"X-Request-Id": {reused}, "Baggage": {reused},
	}})
	copy(memory, "bbbb-other")
	for _, ctx := range []context.Context{ctx, detached} {
		assert.Equal(t, metadata{"x-request-id": {"aaaa-first"}, "baggage": {"aaaa-first"}}, inject(ctx))
	}
}
