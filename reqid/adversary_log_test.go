package reqid_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"

	"github.com/gracekit/gracekit/reqid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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

// naive is the oracle: it keeps every call and, for every record, builds the handler again
// with the attributes first, so that they are at the root.
type naive struct {
	next  slog.Handler
	attrs func(context.Context) []slog.Attr
	calls []func(slog.Handler) slog.Handler
}

func (n naive) Enabled(ctx context.Context, l slog.Level) bool { return n.next.Enabled(ctx, l) }
func (n naive) Handle(ctx context.Context, r slog.Record) error {
	h := n.next.WithAttrs(n.attrs(ctx))
	for _, call := range n.calls {
		h = call(h)
	}
	return h.Handle(ctx, r)
}
func (n naive) with(call func(slog.Handler) slog.Handler) slog.Handler {
	n.calls = append(n.calls[:len(n.calls):len(n.calls)], call)
	return n
}
func (n naive) WithAttrs(a []slog.Attr) slog.Handler {
	return n.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(a) })
}
func (n naive) WithGroup(g string) slog.Handler {
	if g == "" {
		return n
	}
	return n.with(func(h slog.Handler) slog.Handler { return h.WithGroup(g) })
}

// Loggers derived at random, in several requests whose users change meanwhile, write what the oracle writes.
func TestAdversaryLogOracle(t *testing.T) {
	t.Parallel()
	attrs := func(ctx context.Context) (as []slog.Attr) {
		if id := reqid.FromContext(ctx); id != "" {
			as = append(as, slog.String("requestID", id))
		}
		if u := reqid.User(ctx); u != "" {
			as = append(as, slog.String("username", u))
		}
		return as
	}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var got, want bytes.Buffer
		type pair struct{ got, want *slog.Logger }
		loggers := []pair{{
			slog.New(reqid.LogHandler(slog.NewJSONHandler(&got, nil))),
			slog.New(naive{next: slog.NewJSONHandler(&want, nil), attrs: attrs}),
		}}
		ctxs := []context.Context{context.Background()}
		for i := range 3 {
			ctx, err := reqid.NewContext(t.Context(), fmt.Sprintf("id-%d", i))
			require.NoError(t, err)
			ctxs = append(ctxs, ctx)
		}
		for step := range 60 {
			p := loggers[rnd.IntN(len(loggers))]
			ctx := ctxs[rnd.IntN(len(ctxs))]
			key := fmt.Sprintf("k%d", step)
			switch rnd.IntN(8) {
			case 0:
				loggers = append(loggers, pair{p.got.WithGroup(key), p.want.WithGroup(key)})
			case 1:
				loggers = append(loggers, pair{p.got.With(key, step), p.want.With(key, step)})
			case 2:
				loggers = append(loggers, pair{p.got.With(slog.Group(key)), p.want.With(slog.Group(key))})
			case 3:
				loggers = append(loggers, pair{p.got.WithGroup(""), p.want.WithGroup("")})
			case 4:
				reqid.SetUser(ctx, []string{"", "ann", "bob"}[rnd.IntN(3)])
			default:
				got.Reset()
				want.Reset()
				args := make([]any, 0, 16)
				for i := range rnd.IntN(8) {
					args = append(args, slog.Int(fmt.Sprintf("a%d", i), i))
				}
				p.got.InfoContext(ctx, "m", args...)
				p.want.InfoContext(ctx, "m", args...)
				require.Equal(t, parse(t, want.String()), parse(t, got.String()), "seed %d step %d", seed, step)
			}
		}
	}
}

// What the root already has is not added twice, however it got there, and what a group has does not count.
func TestAdversaryLogNotTwice(t *testing.T) {
	t.Parallel()
	ctx, err := reqid.NewContext(t.Context(), "id")
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		log  func(*slog.Logger)
		want string // of the root's requestID
	}{
		"record": {func(l *slog.Logger) { l.InfoContext(ctx, "m", "requestID", "own") }, "own"},
		"record, 7th": {func(l *slog.Logger) {
			l.InfoContext(ctx, "m", "a", 1, "b", 1, "c", 1, "d", 1, "e", 1, "f", 1, "requestID", "own")
		}, "own"},
		"with":                 {func(l *slog.Logger) { l.With("requestID", "own").InfoContext(ctx, "m") }, "own"},
		"with, then group":     {func(l *slog.Logger) { l.With("requestID", "own").WithGroup("g").InfoContext(ctx, "m") }, "own"},
		"with in group":        {func(l *slog.Logger) { l.WithGroup("g").With("requestID", "own").InfoContext(ctx, "m") }, "id"},
		"record in group":      {func(l *slog.Logger) { l.WithGroup("g").InfoContext(ctx, "m", "requestID", "own") }, "id"},
		"group attribute":      {func(l *slog.Logger) { l.InfoContext(ctx, "m", slog.Group("g", "requestID", "own")) }, "id"},
		"inlined group":        {func(l *slog.Logger) { l.InfoContext(ctx, "m", slog.Group("", "requestID", "own")) }, "own"},
		"inlined in inlined":   {func(l *slog.Logger) { l.InfoContext(ctx, "m", slog.Group("", slog.Group("", "requestID", "own"))) }, "own"},
		"inlined group, with":  {func(l *slog.Logger) { l.With(slog.Group("", "requestID", "own")).InfoContext(ctx, "m") }, "own"},
		"inlined in group":     {func(l *slog.Logger) { l.WithGroup("g").InfoContext(ctx, "m", slog.Group("", "requestID", "own")) }, "id"},
		"empty name is no one": {func(l *slog.Logger) { l.WithGroup("").With("requestID", "own").InfoContext(ctx, "m") }, "own"},
		"prefix":               {func(l *slog.Logger) { l.InfoContext(ctx, "m", "requestID2", "own") }, "id"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			l := slog.New(reqid.LogHandler(reqid.LogHandler(slog.NewJSONHandler(&b, nil))))
			for range 3 { // later records of a request may take another way
				b.Reset()
				tt.log(l)
				assert.Equal(t, tt.want, parse(t, b.String())["requestID"])
			}
		})
	}
}

// Large records of one logger that bring an ID of their own, in turn with some that do not.
func TestAdversaryLogNotTwiceInTurn(t *testing.T) {
	t.Parallel()
	ctx := mustContext(t, "id")
	var b strings.Builder
	l := slog.New(reqid.LogHandler(slog.NewJSONHandler(&b, nil)))
	for i := range 12 {
		args := []any{"a", 1, "b", 1, "c", 1, "d", 1, "e", 1, "f", 1}
		want := "id"
		if i%4 >= 2 {
			want = "own"
			args = append(args, "requestID", want)
		}
		b.Reset()
		l.InfoContext(ctx, "m", args...)
		assert.Equal(t, want, parse(t, b.String())["requestID"])
	}
}

// A wrapper that hides the inner LogHandler: the attributes still stand there once.
type wrapper struct{ slog.Handler }

func (w wrapper) WithAttrs(a []slog.Attr) slog.Handler { return wrapper{w.Handler.WithAttrs(a)} }
func (w wrapper) WithGroup(g string) slog.Handler      { return wrapper{w.Handler.WithGroup(g)} }

func TestAdversaryLogHiddenInner(t *testing.T) {
	t.Parallel()
	ctx, err := reqid.NewContext(t.Context(), "id")
	require.NoError(t, err)
	reqid.SetUser(ctx, "ann")
	for _, grouped := range []bool{false, true} {
		var b strings.Builder
		l := slog.New(reqid.LogHandler(wrapper{reqid.LogHandler(slog.NewJSONHandler(&b, nil))}))
		if grouped {
			l = l.WithGroup("g")
		}
		for i := range 4 {
			b.Reset()
			l.InfoContext(ctx, "m", "k", i)
			m := parse(t, b.String())
			assert.Equal(t, "id", m["requestID"])
			assert.Equal(t, "ann", m["username"])
		}
	}
}

// Two handlers that get the same record, one after the other and at once.
func TestAdversaryLogSharedRecord(t *testing.T) {
	t.Parallel()
	ctx, err := reqid.NewContext(t.Context(), "id")
	require.NoError(t, err)
	reqid.SetUser(ctx, "ann")
	for n := range 14 {
		var plain, one, two strings.Builder
		multi := slog.NewMultiHandler(
			reqid.LogHandler(slog.NewJSONHandler(&one, nil)),
			reqid.LogHandler(slog.NewJSONHandler(&two, nil), reqid.Rename(reqid.RequestIDKey, "rid")),
			slog.NewJSONHandler(&plain, nil))
		for range 3 {
			plain.Reset()
			one.Reset()
			two.Reset()
			var args []any
			for i := range n {
				args = append(args, slog.Int(fmt.Sprintf("a%d", i), i))
			}
			slog.New(multi).InfoContext(ctx, "m", args...)
			m1, m2, p := parse(t, one.String()), parse(t, two.String()), parse(t, plain.String())
			assert.Equal(t, "id", m1["requestID"])
			assert.Equal(t, "id", m2["rid"])
			assert.Equal(t, "ann", m2["username"])
			assert.NotContains(t, p, "requestID")
			delete(m1, "requestID")
			delete(m1, "username")
			assert.Equal(t, p, m1)
			assert.Len(t, p, n+2)
		}
	}

	// A record whose back slice has room to grow, handled by many at once.
	rec := slog.Record{Message: "m"}
	for i := range 7 {
		rec.AddAttrs(slog.Int(fmt.Sprintf("a%d", i), i))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			ctx, _ := reqid.NewContext(context.Background(), fmt.Sprintf("id%d", i))
			var b strings.Builder
			h := reqid.LogHandler(slog.NewJSONHandler(&b, nil))
			for range 50 {
				b.Reset()
				assert.NoError(t, h.Handle(ctx, rec))
				assert.Equal(t, fmt.Sprintf("id%d", i), parse(t, b.String())["requestID"])
			}
		})
	}
	wg.Wait()
}

func TestAdversarySlogtest(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]context.Context{"without": context.Background(), "with": mustContext(t, "id")} {
		for _, grouped := range []bool{false, true} {
			var b bytes.Buffer
			slogtest.Run(t, func(*testing.T) slog.Handler {
				b.Reset()
				h := reqid.LogHandler(slog.NewJSONHandler(&b, nil))
				if !grouped {
					return bound{h, ctx}
				}
				// The second record of a request, after the first has filled whatever is kept.
				_ = h.Handle(ctx, slog.Record{})
				_ = h.Handle(ctx, slog.Record{})
				b.Reset()
				return bound{h, ctx}
			}, func(t *testing.T) map[string]any {
				var m map[string]any
				require.NoError(t, json.Unmarshal(b.Bytes(), &m))
				if name == "with" {
					assert.Equal(t, "id", m["requestID"])
				} else {
					assert.NotContains(t, m, "requestID")
				}
				return m
			})
		}
	}
}

func mustContext(t *testing.T, id string) context.Context {
	ctx, err := reqid.NewContext(t.Context(), id)
	require.NoError(t, err)
	return ctx
}

// bound hands its context to every record.
type bound struct {
	h   slog.Handler
	ctx context.Context
}

func (b bound) Enabled(_ context.Context, l slog.Level) bool  { return b.h.Enabled(b.ctx, l) }
func (b bound) Handle(_ context.Context, r slog.Record) error { return b.h.Handle(b.ctx, r) }
func (b bound) WithAttrs(a []slog.Attr) slog.Handler          { return bound{b.h.WithAttrs(a), b.ctx} }
func (b bound) WithGroup(g string) slog.Handler               { return bound{b.h.WithGroup(g), b.ctx} }

// SetUser beside loggers, derived ones and L: each record has one of the users that were set, or none.
func TestAdversaryConcurrentSetUser(t *testing.T) {
	t.Parallel()
	ctx := mustContext(t, "id")
	var mu sync.Mutex
	var lines []string
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, string(p))
		return len(p), nil
	}), nil)))
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for n := range 30 {
				reqid.SetUser(ctx, fmt.Sprintf("user-%d-%d", i, n))
				reqid.User(ctx)
				reqid.Detach(ctx)
			}
		})
		wg.Go(func() {
			for range 30 {
				log.InfoContext(ctx, "m")
				log.WithGroup("g").InfoContext(ctx, "m", "k", "v")
				log.With("a", 1).InfoContext(ctx, "m")
			}
		})
	}
	wg.Wait()
	reqid.SetUser(ctx, "last")
	log.InfoContext(ctx, "m")
	require.Len(t, lines, 271)
	for _, line := range lines {
		m := parse(t, line)
		require.Equal(t, "id", m["requestID"])
		if u, ok := m["username"]; ok && u != "last" {
			require.Regexp(t, `^user-\d-\d+$`, u)
		}
	}
	assert.Equal(t, "last", parse(t, lines[270])["username"])
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A long request that derives loggers and changes its user for ever does not grow for ever.
func TestAdversaryLogCacheIsBounded(t *testing.T) {
	ctx := mustContext(t, "id")
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(io.Discard, nil)))
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	big := strings.Repeat("x", 1000)
	before := heap()
	for i := range 20_000 {
		l := log.With("i", i, "big", big)
		l.InfoContext(ctx, "m")
		l.InfoContext(ctx, "m")
		g := l.WithGroup("g")
		g.InfoContext(ctx, "m", "k", "v")
		g.InfoContext(ctx, "m", "k", "v")
		reqid.SetUser(ctx, fmt.Sprint(i))
	}
	grown := heap() - before
	runtime.KeepAlive(ctx)
	assert.Less(t, grown, int64(2<<20), "bytes kept by one request") // one entry each would be 20 MB and more
}

// A hostile user name stays inside its attribute.
func TestAdversaryLogUsername(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a\nlevel=ERROR", "\u2028", "\xff", "\u202egnp", strings.Repeat("é", 1<<20), "a\x1b[2J"} {
		ctx := mustContext(t, "id")
		require.True(t, reqid.SetUser(ctx, name))
		assert.Equal(t, name, reqid.User(ctx))
		var b strings.Builder
		l := slog.New(reqid.LogHandler(slog.NewJSONHandler(&b, nil)))
		for range 2 {
			b.Reset()
			l.InfoContext(ctx, "m")
			u, _ := parse(t, b.String())["username"].(string)
			assert.NotEmpty(t, u)
			assert.LessOrEqual(t, len(u), 131)
			assert.NotRegexp(t, `[\x00-\x1f\x{2028}\x{202e}]`, u)
		}
	}
}

// L puts the ID at the root, once, whatever its logger is and however it is derived.
func TestAdversaryL(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(slog.Handler) slog.Handler{
		"plain":  func(h slog.Handler) slog.Handler { return h },
		"ours":   func(h slog.Handler) slog.Handler { return reqid.LogHandler(h) },
		"hidden": func(h slog.Handler) slog.Handler { return wrapper{reqid.LogHandler(h)} },
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			inRequest(t, "id", func(ctx context.Context) {
				id := reqid.FromContext(ctx)
				early := reqid.L(ctx).WithGroup("g").With("a", 1)
				for _, user := range []string{"", "ann", "bob"} {
					reqid.SetUser(ctx, user)
					for _, l := range []*slog.Logger{reqid.L(ctx), early, reqid.L(ctx).With("x", 1).WithGroup("h")} {
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
				other := mustContext(t, "other")
				b.Reset()
				early.InfoContext(other, "m", "k", "v")
				assert.Equal(t, "other", parse(t, b.String())["requestID"])
			}, reqid.Logger(slog.New(wrap(slog.NewJSONHandler(&b, nil)))))
		})
	}
}
