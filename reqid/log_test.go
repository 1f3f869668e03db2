package reqid_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

func TestLogHandlerPassesSlogtest(t *testing.T) {
	ctx := withID(t, "abc", "alice")
	tests := []struct {
		name string
		wrap func(slog.Handler) slog.Handler
		id   any
	}{
		{"without an ID", func(h slog.Handler) slog.Handler { return reqid.LogHandler(h) }, nil},
		{"with an ID", func(h slog.Handler) slog.Handler {
			return inContext{reqid.LogHandler(h), ctx}
		}, "abc"},
		{"through L", func(h slog.Handler) slog.Handler {
			return loggerInRequest(t, slog.New(h), "abc").Handler()
		}, "abc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			slogtest.Run(t,
				func(*testing.T) slog.Handler {
					out.Reset()
					return tt.wrap(slog.NewJSONHandler(&out, nil))
				},
				func(t *testing.T) map[string]any {
					line := map[string]any{}
					require.NoError(t, json.Unmarshal(out.Bytes(), &line), out.String())
					assert.Equal(t, tt.id, line["requestID"])
					return line
				})
		})
	}
}

func TestLogHandlerKeepsTheIDAtTheRoot(t *testing.T) {
	const ids = "requestID=abc username=alice "
	tests := []struct {
		name string
		with func(*slog.Logger) *slog.Logger
		want string
	}{
		{"plain", func(l *slog.Logger) *slog.Logger { return l }, ids + "k=v"},
		{"attributes", func(l *slog.Logger) *slog.Logger { return l.With("a", 1) },
			"a=1 " + ids + "k=v"},
		{"group", func(l *slog.Logger) *slog.Logger { return l.WithGroup("g") }, ids + "g.k=v"},
		{"group, attributes", func(l *slog.Logger) *slog.Logger {
			return l.WithGroup("g").With("a", 1)
		}, ids + "g.a=1 g.k=v"},
		{"attributes, group", func(l *slog.Logger) *slog.Logger {
			return l.With("a", 1).WithGroup("g")
		}, "a=1 " + ids + "g.k=v"},
		{"attributes, group, attributes, group", func(l *slog.Logger) *slog.Logger {
			return l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").With("c", 3)
		}, "a=1 " + ids + "g.b=2 g.h.c=3 g.h.k=v"},
		{"empty group", func(l *slog.Logger) *slog.Logger { return l.WithGroup("") }, ids + "k=v"},
		{"no attributes", func(l *slog.Logger) *slog.Logger { return l.With() }, ids + "k=v"},
		{"same key within a group", func(l *slog.Logger) *slog.Logger {
			return l.WithGroup("g").With("requestID", "inner")
		}, ids + "g.requestID=inner g.k=v"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			ctx := withID(t, "abc", "alice")
			log := tt.with(slog.New(reqid.LogHandler(textHandler(&out))))
			log.InfoContext(ctx, "m", "k", "v")
			assert.Equal(t, "msg=m "+tt.want+"\n", out.String())
			out.Reset()
			log.Info("m", "k", "v")
			assert.Equal(t, "msg=m "+strings.ReplaceAll(tt.want, ids, "")+"\n", out.String())
		})
	}
}

func TestLogHandlerAddsNothingTwice(t *testing.T) {
	ctx := withID(t, "abc", "alice")
	tests := []struct {
		name string
		log  func(slog.Handler)
		want string
	}{
		{"wrapped twice", func(h slog.Handler) {
			slog.New(reqid.LogHandler(reqid.LogHandler(h))).InfoContext(ctx, "m")
		}, "requestID=abc username=alice"},
		{"wrapped twice, the outer renames", func(h slog.Handler) {
			slog.New(reqid.LogHandler(reqid.LogHandler(h),
				reqid.Rename(reqid.RequestIDKey, "id"))).InfoContext(ctx, "m")
		}, "id=abc username=alice"},
		{"wrapped twice, the inner renames", func(h slog.Handler) {
			slog.New(reqid.LogHandler(reqid.LogHandler(h, reqid.Rename(reqid.RequestIDKey, "id")),
				nil)).InfoContext(ctx, "m")
		}, "id=abc username=alice"},
		{"wrapped twice, both rename", func(h slog.Handler) {
			h = reqid.LogHandler(h, reqid.Rename(reqid.RequestIDKey, "id"),
				reqid.Rename(reqid.UsernameKey, "name"))
			slog.New(reqid.LogHandler(h, reqid.Rename(reqid.UsernameKey, "user"))).InfoContext(ctx,
				"m")
		}, "id=abc user=alice"},
		{"wrapped again after With has given the new key", func(h slog.Handler) {
			h = reqid.LogHandler(h).WithAttrs([]slog.Attr{slog.String("id",
				"mine")}).WithAttrs([]slog.Attr{slog.Int("n", 1)})
			slog.New(reqid.LogHandler(h, reqid.Rename(reqid.RequestIDKey, "id"))).InfoContext(ctx,
				"m")
		}, "id=mine n=1 username=alice"},
		{"wrapped again after With has given the old key", func(h slog.Handler) {
			h = reqid.LogHandler(h).WithAttrs([]slog.Attr{slog.String("requestID",
				"mine")}).WithGroup("g")
			slog.New(reqid.LogHandler(h, reqid.Rename(reqid.RequestIDKey, "id"))).InfoContext(ctx,
				"m", "k", "v")
		}, "requestID=mine id=abc username=alice g.k=v"},
		{"wrapped twice with another between", func(h slog.Handler) {
			slog.New(reqid.LogHandler(inContext{reqid.LogHandler(h), ctx})).InfoContext(ctx, "m")
		}, "requestID=abc username=alice"},
		{"wrapped twice with another between, group", func(h slog.Handler) {
			slog.New(reqid.LogHandler(inContext{reqid.LogHandler(h),
				ctx})).WithGroup("g").InfoContext(ctx, "m", "k", "v")
		}, "requestID=abc username=alice g.k=v"},
		{"ID by With", func(h slog.Handler) {
			slog.New(reqid.LogHandler(h)).With("requestID", "mine").InfoContext(ctx, "m")
		}, "requestID=mine username=alice"},
		{"both by With, then a group", func(h slog.Handler) {
			slog.New(reqid.LogHandler(h)).With("requestID", "mine", "username",
				"me").WithGroup("g").InfoContext(ctx, "m", "k", "v")
		}, "requestID=mine username=me g.k=v"},
		{"user in the record", func(h slog.Handler) {
			slog.New(reqid.LogHandler(h)).InfoContext(ctx, "m", "username", "me")
		}, "requestID=abc username=me"},
		{"ID in a group without a name", func(h slog.Handler) {
			slog.New(reqid.LogHandler(h)).InfoContext(ctx, "m",
				slog.Group("", slog.Group("", "requestID", "mine")), "", "no key")
		}, `username=alice requestID=mine ""="no key"`},
		{"in a record within a group it is another", func(h slog.Handler) {
			slog.New(reqid.LogHandler(h)).WithGroup("g").InfoContext(ctx, "m", "requestID", "inner")
		}, "requestID=abc username=alice g.requestID=inner"},
		{"in the record, after others", func(h slog.Handler) {
			slog.New(reqid.LogHandler(h)).InfoContext(ctx, "m", "a", 1, "b", 1, "c", 1, "d", 1, "e",
				1, "f", 1, "requestID", "mine")
		}, "username=alice a=1 b=1 c=1 d=1 e=1 f=1 requestID=mine"},
		{"in a group of the record it is another", func(h slog.Handler) {
			slog.New(reqid.LogHandler(h)).InfoContext(ctx, "m",
				slog.Group("g", "requestID", "inner"), "requestID2", "other")
		}, "requestID=abc username=alice g.requestID=inner requestID2=other"},
		{"left out", func(h slog.Handler) {
			slog.New(reqid.LogHandler(h, nil, reqid.Rename(reqid.UsernameKey, ""))).InfoContext(ctx,
				"m")
		}, "requestID=abc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tt.log(textHandler(&out))
			assert.Equal(t, "msg=m "+tt.want+"\n", out.String())
		})
	}
}

func TestLogHandlerFollowsTheUser(t *testing.T) {
	var out bytes.Buffer
	ctx := withID(t, "abc", "")
	log := slog.New(reqid.LogHandler(textHandler(&out)))
	grouped := log.WithGroup("g")
	for _, user := range []string{"", "alice", "bob", ""} {
		reqid.SetUser(ctx, user)
		log.InfoContext(ctx, "m")
		log.InfoContext(ctx, "m")
		grouped.InfoContext(ctx, "m", "k", "v")
	}
	assert.Equal(t, `msg=m requestID=abc
msg=m requestID=abc
msg=m requestID=abc g.k=v
msg=m requestID=abc username=alice
msg=m requestID=abc username=alice
msg=m requestID=abc username=alice g.k=v
msg=m requestID=abc username=bob
msg=m requestID=abc username=bob
msg=m requestID=abc username=bob g.k=v
msg=m requestID=abc
msg=m requestID=abc
msg=m requestID=abc g.k=v
`, out.String())
}

func TestLogHandlerCleansTheUser(t *testing.T) {
	tests := []struct{ name, user, want string }{
		{"plain", "alice", "alice"},
		{"letters of any script", "Zoë 李 नमस्ते", "Zoë 李 नमस्ते"},
		{"joiner of an emoji", "👩‍💻", "👩‍💻"},
		{"line feed", "a\r\nlevel=ERROR", "a\uFFFD\uFFFDlevel=ERROR"},
		{"escape", "\x1b[31m", "\uFFFD[31m"},
		{"C1 control", "a\u0085b", "a\uFFFDb"},
		{"line separator", "a\u2028\u2029b", "a\uFFFD\uFFFDb"},
		{"right to left override", "a\u202eb", "a\uFFFDb"},
		{"invalid UTF-8", "a\xffb", "a\uFFFDb"},
		{"128 bytes", strings.Repeat("a", 128), strings.Repeat("a", 128)},
		{"129 bytes", strings.Repeat("a", 129), strings.Repeat("a", 128) + "…"},
		{"cut between characters", strings.Repeat("a", 126) + "李李", strings.Repeat("a", 126) + "…"},
		{"only continuation bytes", strings.Repeat("\x80", 900<<10),
			strings.Repeat("\uFFFD", 42) + "…"},
		{"grows when cleaned", strings.Repeat("\n", 100), strings.Repeat("\uFFFD", 42) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			ctx := withID(t, "abc", tt.user)
			slog.New(reqid.LogHandler(slog.NewJSONHandler(&out, nil))).InfoContext(ctx, "m")
			var line struct{ Username string }
			require.NoError(t, json.Unmarshal(out.Bytes(), &line))
			assert.Equal(t, tt.want, line.Username)
			assert.Equal(t, tt.user, reqid.User(ctx), "User returns it as it is")
		})
	}
}

// keeper keeps records the way a handler with a queue does.
type keeper struct {
	slog.Handler
	records *[]slog.Record
}

func (k keeper) Handle(_ context.Context, r slog.Record) error {
	*k.records = append(*k.records, r)
	return nil
}
func (k keeper) WithAttrs([]slog.Attr) slog.Handler { return k }

func TestLogHandlerDoesNotChangeTheRecord(t *testing.T) {
	ctx := withID(t, "abc", "alice")
	// Seven attributes: two are in the memory that copies of a record share, with room left in it.
	var r slog.Record
	r.Message = "m"
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		r.Add(key, key)
	}
	render := func(r slog.Record) string {
		var out bytes.Buffer
		require.NoError(t, textHandler(&out).Handle(ctx, r))
		return out.String()
	}
	before := render(r)
	var kept []slog.Record
	for range 3 { // two LogHandlers with different keys, and one who adds to its own clone
		for _, key := range []string{"id1", "id2"} {
			h := reqid.LogHandler(keeper{textHandler(io.Discard), &kept},
				reqid.Rename(reqid.RequestIDKey, key))
			require.NoError(t, h.Handle(ctx, r))
		}
		clone := r.Clone()
		clone.Add("other", true)
	}
	assert.Equal(t, before, render(r))
	// What a handler keeps is its own: with the attributes of this handler or, if next has got them
	// by WithAttrs, without any, but never with those of somebody else.
	for i, k := range kept {
		own := fmt.Sprintf("id%d=abc username=alice ", i%2+1)
		assert.Equal(t, before, strings.Replace(render(k), own, "", 1))
	}
}

func TestLogHandlerBesideAnotherHandler(t *testing.T) {
	for _, n := range []int{0, 2, 3, 4, 5, 6, 20} {
		ctx := withID(t, "abc", "alice")
		var with, without, want bytes.Buffer
		log := slog.New(slog.NewMultiHandler(reqid.LogHandler(textHandler(&with)),
			textHandler(&without), reqid.LogHandler(textHandler(&with))))
		var args []any
		for i := range n {
			args = append(args, string(rune('a'+i)), i)
		}
		for range 3 {
			log.InfoContext(ctx, "m", args...)
			slog.New(textHandler(&want)).Info("m", args...)
		}
		assert.Equal(t, want.String(), without.String(), "%d attributes", n)
		want.Reset()
		for range 6 {
			slog.New(textHandler(&want)).With("requestID", "abc", "username", "alice").Info("m",
				args...)
		}
		assert.Equal(t, want.String(), with.String(), "%d attributes", n)
	}
}

func TestLogHandlerOwnsItsAttributes(t *testing.T) {
	var out bytes.Buffer
	ctx := withID(t, "abc", "")
	h := reqid.LogHandler(scribbler{textHandler(&out)}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("a", 1)})
	left, right := h.WithAttrs([]slog.Attr{slog.Int("left", 1)}),
		h.WithAttrs([]slog.Attr{slog.Int("right", 1)})
	for _, h := range []slog.Handler{left, right, left} {
		slog.New(h).InfoContext(ctx, "m")
	}
	assert.Equal(t, `msg=m requestID=abc g.a=1 g.left=1
msg=m requestID=abc g.a=1 g.right=1
msg=m requestID=abc g.a=1 g.left=1
`, out.String())
}

// scribbler uses the right to modify the slice it is given.
type scribbler struct{ slog.Handler }

func (s scribbler) WithGroup(name string) slog.Handler {
	return scribbler{s.Handler.WithGroup(name)}
}
func (s scribbler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := scribbler{s.Handler.WithAttrs(attrs)}
	clear(attrs)
	return next
}

type failing struct{ slog.Handler }

var errWrite = errors.New("disk full")

func (failing) Handle(context.Context, slog.Record) error { return errWrite }
func (f failing) WithAttrs([]slog.Attr) slog.Handler      { return f }

// Two loggers made from one do not write over each other's attributes, also where a handler that is
// wrapped again asks for them.
func TestLogHandlerWrappedAgainKeepsWhatWasGiven(t *testing.T) {
	var out bytes.Buffer
	ctx := withID(t, "abc", "")
	h := reqid.LogHandler(textHandler(&out))
	for _, key := range []string{"a", "b", "c"} { // leaves room in a slice that grows
		h = h.WithAttrs([]slog.Attr{slog.Int(key, 1)})
	}
	left := h.WithAttrs([]slog.Attr{slog.String("id", "left")})
	_ = h.WithAttrs([]slog.Attr{slog.String("right", "right")})
	slog.New(reqid.LogHandler(left, reqid.Rename(reqid.RequestIDKey, "id"))).InfoContext(ctx, "m")
	assert.Equal(t, "msg=m a=1 b=1 c=1 id=left\n", out.String())
}

func TestLogHandlerReturnsTheError(t *testing.T) {
	h := reqid.LogHandler(failing{textHandler(io.Discard)})
	for _, ctx := range []context.Context{t.Context(), withID(t, "abc", "alice")} {
		for range 3 {
			assert.ErrorIs(t, h.Handle(ctx, slog.Record{}), errWrite)
		}
	}
}

func TestLogHandlerWithoutAContext(t *testing.T) {
	var out bytes.Buffer
	h := reqid.LogHandler(textHandler(&out))
	//lint:ignore SA1012 some callers do
	require.NoError(t, h.Handle(nil, slog.Record{Message: "m"}))
	assert.Equal(t, "msg=m\n", out.String())
}

func TestLogHandlerWithNothing(t *testing.T) {
	h := reqid.LogHandler(textHandler(io.Discard))
	assert.Same(t, h, h.WithAttrs(nil))
	assert.Same(t, h, h.WithGroup(""))
}

func TestLogHandlerKeepsTheSource(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(&out,
		&slog.HandlerOptions{AddSource: true})))
	ctx := withID(t, "abc", "")
	for range 3 {
		out.Reset()
		log.InfoContext(ctx, "m")
		assert.Contains(t, out.String(), "log_test.go")
	}
}

func TestManyLoggersInOneRequest(t *testing.T) {
	var out, want bytes.Buffer
	ctx := withID(t, "abc", "alice")
	log := slog.New(reqid.LogHandler(textHandler(&out)))
	byHand := slog.New(textHandler(&want))
	for range 3 {
		for i := range 20 {
			log.With("i", i).InfoContext(ctx, "m")
			log.WithGroup("g").InfoContext(ctx, "m", "i", i)
			byHand.With("i", i).Info("m", "requestID", "abc", "username", "alice")
			byHand.With("requestID", "abc", "username", "alice").WithGroup("g").Info("m", "i", i)
		}
	}
	assert.Equal(t, want.String(), out.String())
}

// SetUser while many goroutines of the request log: every line has one of the users, whole.
func TestSetUserBesideLogging(t *testing.T) {
	var (
		mu  sync.Mutex
		out bytes.Buffer
	)
	ctx := withID(t, "abc", "user-0")
	log := slog.New(reqid.LogHandler(textHandler(lockedWriter{&mu, &out})))
	grouped := log.With("a", 1).WithGroup("g")
	var wg sync.WaitGroup
	const goroutines, rounds = 8, 50
	for i := range goroutines {
		wg.Go(func() {
			for range rounds {
				log.InfoContext(ctx, "m")
				grouped.InfoContext(ctx, "m", "k", "v")
				reqid.L(ctx).Enabled(ctx, slog.LevelInfo)
				log.With("i", i).InfoContext(ctx, "m")
				_ = reqid.User(ctx)
				_ = reqid.Detach(ctx)
			}
		})
		wg.Go(func() {
			for range rounds {
				reqid.SetUser(ctx, "user-"+string(rune('0'+i)))
			}
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	assert.Len(t, lines, 3*goroutines*rounds)
	for _, line := range lines {
		assert.Regexp(t, `^msg=m (a=1 |i=\d )?requestID=abc username=user-\d( g\.k=v)?$`, line)
	}
}

// naive is the oracle: it keeps every call and, for every record, builds the handler again with the
// attributes first, so that they are at the root.
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

// Loggers derived at random, in several requests whose users change meanwhile, write what the
// oracle writes.
func TestLogHandlerIsLikeTheSimplestOne(t *testing.T) {
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
				loggers = append(loggers, pair{p.got.With(slog.Group(key)),
					p.want.With(slog.Group(key))})
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
				require.Equal(t, parse(t, want.String()), parse(t, got.String()), "seed %d step %d",
					seed, step)
			}
		}
	}
}

// One record in many handlers at once, with room to grow in the memory that its copies share.
func TestOneRecordInManyHandlersAtOnce(t *testing.T) {
	r := slog.Record{Message: "m"}
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		r.AddAttrs(slog.Int(key, 1))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := fmt.Sprint("id-", i)
			ctx := withID(t, id, "")
			var out bytes.Buffer
			h := reqid.LogHandler(textHandler(&out))
			for range 50 {
				out.Reset()
				assert.NoError(t, h.Handle(ctx, r))
				assert.Equal(t, "msg=m requestID="+id+" a=1 b=1 c=1 d=1 e=1 f=1 g=1\n",
					out.String())
			}
		})
	}
	wg.Wait()
}

// The default handler as the default again would wait for package log, which waits for it.
func TestLogHandlerOverTheDefaultOfTheStandardLibraryPanics(t *testing.T) {
	setDefault(t, slog.Default())
	base := slog.Default().Handler()
	for _, h := range []slog.Handler{base, base.WithGroup("g"),
		base.WithAttrs([]slog.Attr{slog.Int("a", 1)})} {
		assert.PanicsWithValue(t,
			"reqid: LogHandler(slog.Default().Handler()): must be another handler, "+
				"such as slog.NewTextHandler(os.Stderr, nil)", func() { reqid.LogHandler(h) })
	}
	slog.SetDefault(slog.New(textHandler(io.Discard)))
	assert.NotPanics(t,
		func() { slog.SetDefault(slog.New(reqid.LogHandler(slog.Default().Handler()))) })
	slog.InfoContext(withID(t, "abc", ""), "m")
}
