package reqid_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/reqid"
)

// loggerInRequest returns what L gives inside a request of this ID.
func loggerInRequest(t testing.TB, log *slog.Logger, id string, opts ...reqid.Option) (l *slog.Logger) {
	t.Helper()
	inRequest(t, id, func(ctx context.Context) { l = reqid.L(ctx) }, append(opts, reqid.Logger(log))...)
	return l
}

// inRequest calls f with the context of a request of this ID.
func inRequest(t testing.TB, id string, f func(context.Context), opts ...reqid.Option) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-ID", id)
	reqid.Middleware(opts...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f(r.Context())
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// setDefault replaces slog's default logger for one test, and with it what slog
// changes in package log.
func setDefault(t *testing.T, logger *slog.Logger) {
	before, output, flags := slog.Default(), log.Writer(), log.Flags()
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(output)
		log.SetFlags(flags)
	})
	slog.SetDefault(logger)
}

func TestLUsesTheDefaultAtTheTimeOfTheCall(t *testing.T) {
	ctx := withID(t, "abc", "alice")
	for _, name := range []string{"first", "second"} {
		var out bytes.Buffer
		setDefault(t, slog.New(textHandler(&out)).With("logger", name))
		reqid.L(ctx).Info("m")
		reqid.L(ctx).WithGroup("g").Info("m", "k", "v")
		reqid.L(t.Context()).Info("m")
		assert.Equal(t, "msg=m logger="+name+" requestID=abc username=alice\n"+
			"msg=m logger="+name+" requestID=abc username=alice g.k=v\n"+
			"msg=m logger="+name+"\n", out.String())
	}
}

func TestLPrefersTheLoggerOfTheMiddleware(t *testing.T) {
	var out, other bytes.Buffer
	setDefault(t, slog.New(textHandler(&other)))
	for _, h := range []slog.Handler{textHandler(&out), reqid.LogHandler(textHandler(&out))} {
		out.Reset()
		inRequest(t, "abc", func(ctx context.Context) {
			l := reqid.L(ctx)
			l.Info("before")
			reqid.SetUser(ctx, "alice")
			l.Info("after")
			l.InfoContext(ctx, "with its context")
			reqid.L(reqid.Detach(ctx)).Info("detached")
		}, reqid.Logger(slog.New(h)))
		assert.Equal(t, `msg=before requestID=abc
msg=after requestID=abc username=alice
msg="with its context" requestID=abc username=alice
msg=detached requestID=abc username=alice
`, out.String())
	}
	assert.Empty(t, other.String())
}

func TestTheContextOfTheRecordCountsMore(t *testing.T) {
	var out bytes.Buffer
	l := loggerInRequest(t, slog.New(textHandler(&out)), "abc")
	l.InfoContext(withID(t, "other", ""), "m")
	l.InfoContext(t.Context(), "m")
	assert.Equal(t, "msg=m requestID=other\nmsg=m requestID=abc\n", out.String())
}

func TestLKeepsItsLogger(t *testing.T) {
	inRequest(t, "abc", func(ctx context.Context) {
		assert.Same(t, reqid.L(ctx), reqid.L(ctx))
	}, reqid.Logger(slog.New(textHandler(io.Discard))))
}

// Handlers around slog's own default handler are known to wait for package log forever.
func TestLWithTheDefaultOfTheStandardLibrary(t *testing.T) {
	var out bytes.Buffer
	setDefault(t, slog.Default())
	log.SetOutput(&out)
	log.SetFlags(0)
	for range 3 {
		reqid.L(withID(t, "abc", "alice")).WithGroup("g").Info("m", "k", "v")
	}
	assert.Equal(t, strings.Repeat("INFO m requestID=abc username=alice g.k=v\n", 3), out.String())
}
