package reqid_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

var hexID = regexp.MustCompile(`^[0-9a-f]{32}$`)

const traceParent = "00-" + specTrace + "-" + specParent + "-01"

// metadata is like that of gRPC: keys in lower case, several values each.
type metadata map[string][]string

func (m metadata) get(key string) []string { return m[key] }
func (m metadata) set(key, value string)   { m[key] = []string{value} }

func inject(ctx context.Context) metadata {
	m := metadata{}
	reqid.Inject(ctx, m.set)
	return m
}

// inbound returns a context as Extract makes it.
func inbound(t testing.TB, in metadata) context.Context {
	t.Helper()
	ctx, err := reqid.Extract(context.Background(), in.get)
	require.NoError(t, err)
	return ctx
}

// withID returns a context with an ID and, if user is not empty, a user.
func withID(t testing.TB, id, user string) context.Context {
	t.Helper()
	ctx, err := reqid.NewContext(context.Background(), id)
	require.NoError(t, err)
	if user != "" {
		require.True(t, reqid.SetUser(ctx, user))
	}
	return ctx
}

// inRequest calls f with the context of a request of this ID.
func inRequest(t testing.TB, id string, f func(context.Context), opts ...reqid.MiddlewareOption) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-ID", id)
	reqid.Middleware(opts...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f(r.Context())
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// loggerInRequest returns what L gives inside a request of this ID.
func loggerInRequest(t testing.TB, log *slog.Logger, id string) (l *slog.Logger) {
	t.Helper()
	inRequest(t, id, func(ctx context.Context) { l = reqid.L(ctx) }, reqid.Logger(log))
	return l
}

// seen is what a request looked like from inside.
type seen struct {
	id     string
	header http.Header // of the request
	sent   metadata
	logged map[string]any
}

// serve sends a request with a copy of these header values, as they are, through Middleware.
func serve(
	t testing.TB, header http.Header, opts ...reqid.MiddlewareOption,
) (seen, *http.Response) {
	t.Helper()
	var (
		got seen
		out bytes.Buffer
	)
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(&out, nil)))
	h := reqid.Middleware(opts...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.id = reqid.FromContext(r.Context())
		got.header = r.Header
		got.sent = inject(r.Context())
		log.InfoContext(r.Context(), "m")
		w.WriteHeader(http.StatusTeapot)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = header.Clone()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	assert.Equal(t, []string{got.id}, got.header["X-Request-Id"], "what others read in the request")
	require.NoError(t, json.Unmarshal(out.Bytes(), &got.logged))
	return got, rec.Result()
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// outbound returns the headers with which a request for this URL leaves.
func outbound(
	t testing.TB, ctx context.Context, target string, header http.Header,
	opts ...reqid.TransportOption,
) (sent http.Header) {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	req := (&http.Request{Method: "GET", URL: u, Header: header.Clone()}).WithContext(ctx)
	_, err = reqid.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		sent = r.Header
		return &http.Response{}, nil
	}), opts...).RoundTrip(req)
	require.NoError(t, err)
	assert.Equal(t, header, req.Header, "the caller's request was changed")
	return sent
}

// textHandler writes lines without time and level: the order of attributes shows.
func textHandler(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string,
		a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}})
}

// inContext passes ctx to the handler where the caller has none.
type inContext struct {
	slog.Handler
	ctx context.Context
}

func (h inContext) Handle(_ context.Context, r slog.Record) error {
	return h.Handler.Handle(h.ctx, r)
}

func (h inContext) WithAttrs(a []slog.Attr) slog.Handler {
	return inContext{h.Handler.WithAttrs(a), h.ctx}
}

func (h inContext) WithGroup(name string) slog.Handler {
	return inContext{h.Handler.WithGroup(name), h.ctx}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// parse reads one JSON line and fails if an object of it has a key twice.
func parse(t *testing.T, line string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(line))
	var object func() map[string]any
	object = func() map[string]any {
		m := map[string]any{}
		for dec.More() {
			key, err := dec.Token()
			require.NoError(t, err, line)
			value, err := dec.Token()
			require.NoError(t, err, line)
			if value == json.Delim('{') {
				value = object()
			}
			require.NotContains(t, m, key, "twice in %s", line)
			m[key.(string)] = value
		}
		_, err := dec.Token()
		require.NoError(t, err, line)
		return m
	}
	_, err := dec.Token()
	require.NoError(t, err, line)
	m := object()
	delete(m, "time")
	return m
}

// setDefault replaces slog's default logger for one test, and with it what slog changes in package
// log.
func setDefault(t *testing.T, logger *slog.Logger) {
	before, output, flags := slog.Default(), log.Writer(), log.Flags()
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(output)
		log.SetFlags(flags)
	})
	slog.SetDefault(logger)
}

const allocRuns = 200

func allocs(t *testing.T, f func()) float64 {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	return testing.AllocsPerRun(allocRuns, f)
}

// emptyWriter is a ResponseWriter that, like a new one of net/http, has an empty header map at each
// request.
type emptyWriter struct{ header http.Header }

func (w *emptyWriter) Header() http.Header { return w.header }

func (w *emptyWriter) Write(p []byte) (int, error) { return len(p), nil }

func (w *emptyWriter) WriteHeader(int) {}
