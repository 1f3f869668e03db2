package reqid_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/reqid"
)

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

// L puts the ID at the root, once, whatever its logger is and however it is derived.
func TestLPutsTheIDAtTheRoot(t *testing.T) {
	for name, wrap := range map[string]func(slog.Handler) slog.Handler{
		"plain":  func(h slog.Handler) slog.Handler { return h },
		"ours":   func(h slog.Handler) slog.Handler { return reqid.LogHandler(h) },
		"hidden": func(h slog.Handler) slog.Handler { return inContext{reqid.LogHandler(h), nil} },
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			inRequest(t, "id", func(ctx context.Context) {
				id := reqid.FromContext(ctx)
				early := reqid.L(ctx).WithGroup("g").With("a", 1)
				for _, user := range []string{"", "ann", "bob"} {
					reqid.SetUser(ctx, user)
					for _, l := range []*slog.Logger{reqid.L(ctx), early,
						reqid.L(ctx).With("x", 1).WithGroup("h")} {
						b.Reset()
						l.Info("m", "k", "v")
						m := parse(t, b.String())
						assert.Equal(t, id, m["requestID"])
						if user == "" {
							assert.NotContains(t, m, "username")
						} else {
							assert.Equal(t, user, m["username"])
						}
					}
				}
				other := withID(t, "other", "")
				b.Reset()
				early.InfoContext(other, "m", "k", "v")
				assert.Equal(t, "other", parse(t, b.String())["requestID"])
			}, reqid.Logger(slog.New(wrap(slog.NewJSONHandler(&b, nil)))))
		})
	}
}
