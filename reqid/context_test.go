package reqid_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

func TestNewContext(t *testing.T) {
	ctx, err := reqid.NewContext(t.Context(), "job-1")
	require.NoError(t, err)
	assert.Equal(t, "job-1", reqid.FromContext(ctx))
	assert.Empty(t, reqid.FromContext(t.Context()))
}

func TestNewContextRefuses(t *testing.T) {
	for _, id := range []string{"", "a b", strings.Repeat("a", 129)} {
		ctx, err := reqid.NewContext(t.Context(), id)
		require.ErrorIs(t, err, reqid.ErrInvalidID)
		assert.ErrorContains(t, err, "want 1 to 128 of")
		assert.Equal(t, t.Context(), ctx)
	}
}

func TestNewContextInARequestHasAUserOfItsOwn(t *testing.T) {
	outer := withID(t, "outer", "alice")
	inner, err := reqid.NewContext(outer, "inner")
	require.NoError(t, err)
	assert.Equal(t, "alice", reqid.User(inner))
	reqid.SetUser(inner, "bob")
	assert.Equal(t, "alice", reqid.User(outer))
	assert.Equal(t, "bob", reqid.User(inner))
	assert.Equal(t, "outer", reqid.FromContext(outer))
}

func TestSetUserIsSeenByOuterContexts(t *testing.T) {
	outer := withID(t, "abc", "")
	inner, cancel := context.WithCancel(outer)
	defer cancel()
	assert.Empty(t, reqid.User(outer))
	assert.True(t, reqid.SetUser(inner, "alice"))
	assert.Equal(t, "alice", reqid.User(outer))
	assert.True(t, reqid.SetUser(inner, ""))
	assert.Empty(t, reqid.User(outer))
}

func TestSetUserWithoutAnID(t *testing.T) {
	assert.False(t, reqid.SetUser(t.Context(), "alice"))
	assert.Empty(t, reqid.User(t.Context()))
}

func TestDetach(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		ctx, err := reqid.Extract(context.WithValue(t.Context(), key{}, "transaction"), metadata{
			"x-request-id": {"abc"}, "x-root-request-id": {"first"}, "traceparent": {traceParent},
			"tracestate": {"a=b"}, "baggage": {"k=v"},
		}.get)
		require.NoError(t, err)
		reqid.SetUser(ctx, "alice")
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		detached := reqid.Detach(ctx)
		cancel()

		assert.NoError(t, detached.Err())
		assert.Nil(t, detached.Done())
		_, hasDeadline := detached.Deadline()
		assert.False(t, hasDeadline)
		assert.Nil(t, detached.Value(key{}))
		assert.Equal(t, inject(ctx), inject(detached), "ID, root, trace, baggage")
		assert.Equal(t, "alice", reqid.User(detached))

		reqid.SetUser(detached, "worker")
		assert.Equal(t, "alice", reqid.User(ctx))
	})
	assert.Equal(t, context.Background(), reqid.Detach(t.Context()))
}

func TestTheContextCancelsItsChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		ctx, err := reqid.NewContext(parent, "abc")
		require.NoError(t, err)
		child, stop := context.WithCancel(ctx)
		defer stop()
		cancel()
		<-child.Done()
		assert.ErrorIs(t, ctx.Err(), context.Canceled)
	})
}

func TestPrintingTheContextShowsOnlyTheID(t *testing.T) {
	ctx := withID(t, "abc", "alice")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "context.Background.WithRequestID(abc)", fmt.Sprintf(format, ctx), format)
	}
}

func TestTraceState(t *testing.T) {
	in := metadata{"traceparent": {traceParent}, "tracestate": {"a=b", "c=d"}}
	assert.Equal(t, "a=b,c=d", reqid.TraceState(inbound(t, in)))
	delete(in, "traceparent")
	assert.Empty(t, reqid.TraceState(inbound(t, in)), "it means nothing alone")
}

func TestTraceWithoutOne(t *testing.T) {
	for _, ctx := range []context.Context{t.Context(), withID(t, "abc", "")} {
		trace, ok := reqid.Trace(ctx)
		assert.False(t, ok)
		assert.Zero(t, trace)
		assert.Empty(t, reqid.TraceState(ctx))
	}
}

// Detach must not keep the request alive, and must outlive it.
func TestDetachKeepsNothingOfTheRequestAlive(t *testing.T) {
	type key struct{}
	collected := make(chan struct{})
	var detached context.Context
	func() {
		big := new([1 << 20]byte)
		runtime.AddCleanup(big, func(c chan struct{}) { close(c) }, collected)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, big))
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
		reqid.Middleware()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			reqid.SetUser(r.Context(), "ann")
			detached = reqid.Detach(r.Context())
			reqid.SetUser(r.Context(), "bob")
		})).ServeHTTP(httptest.NewRecorder(), r)
		cancel()
	}()
	assert.NoError(t, detached.Err())
	assert.Nil(t, detached.Value(key{}))
	_, has := detached.Deadline()
	assert.False(t, has)
	assert.Equal(t, "ann", reqid.User(detached))
	for range 100 {
		runtime.GC()
		runtime.Gosched()
		select {
		case <-collected:
			runtime.KeepAlive(detached)
			return
		default:
		}
	}
	t.Error("the request's values are still reachable from the detached context")
}
