package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
	"github.com/gracekit/gracekit/reqid"
)

func TestRequestIDIsEverywhere(t *testing.T) {
	s := newService(t)
	s.Use(middleware.AccessLog(s.log))
	s.GET("/whoami", func(c *gin.Context) {
		reqid.SetUser(c.Request.Context(), "alice")
		s.log.InfoContext(c.Request.Context(), "inside")
		c.String(http.StatusOK, reqid.FromContext(c.Request.Context()))
	})
	got := s.get(t, "/whoami", "X-Request-ID: from-the-client")
	assert.Equal(t, "from-the-client", got.Body.String())
	assert.Equal(t, "from-the-client", got.Header().Get("X-Request-ID"))
	assert.Contains(t, s.lines.String(), "msg=inside requestID=from-the-client username=alice")
	assert.Contains(t, s.lines.String(), "msg=request requestID=from-the-client username=alice method=GET path=/whoami status=200 bytes=15 ")

	assert.Regexp(t, "^[0-9a-f]{32}$", s.get(t, "/whoami", "X-Request-ID: two words").Body.String())
}

// What gin would answer itself has the usual shape, too, an ID, and is logged.
func TestNoRoute(t *testing.T) {
	s := newService(t)
	s.Use(middleware.AccessLog(s.log))
	s.GET("/notes", ok)
	tests := []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/nothing", 404, `{"code":100002,"message":"no such route","requestID":"x"}`},
		{"GET", "/notes/", 404, `{"code":100002,"message":"no such route","requestID":"x"}`}, // gin's redirect goes around all middlewares
		{"GET", "/NOTES", 404, `{"code":100002,"message":"no such route","requestID":"x"}`},
		{"PUT", "/notes", 405, `{"code":100003,"message":"method not allowed here","requestID":"x"}`},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := s.do(t, tt.method, tt.path, "", "X-Request-ID: x")
			assert.Equal(t, tt.status, got.Code)
			assert.Equal(t, tt.body, got.Body.String())
			assert.Equal(t, "application/json; charset=utf-8", got.Header().Get("Content-Type"))
			assert.Contains(t, s.lines.String(), "msg=request requestID=x method="+tt.method+" path="+tt.path+" status="+strconv.Itoa(tt.status))
			if tt.status == 405 {
				assert.Equal(t, "GET", got.Header().Get("Allow"))
			}
		})
	}
}

func TestContextEndsWithTheRequest(t *testing.T) {
	s := newService(t)
	var ctx context.Context
	s.GET("/", func(c *gin.Context) {
		ctx = c.Request.Context()
		deadline, has := ctx.Deadline()
		assert.True(t, has)
		assert.WithinDuration(t, time.Now().Add(time.Minute), deadline, time.Minute)
		assert.NoError(t, ctx.Err())
	})
	s.get(t, "/")
	assert.ErrorIs(t, ctx.Err(), context.Canceled)
}

// gin uses its Context again for the next request; what runs on after a request must not see that
// one.
func TestDetachedWorkKeepsItsRequest(t *testing.T) {
	s := newService(t)
	var background sync.WaitGroup
	release := make(chan struct{})
	s.GET("/start", func(c *gin.Context) {
		id := c.Query("id")
		reqid.SetUser(c.Request.Context(), "user-"+id)
		ctx := reqid.Detach(c.Request.Context())
		background.Go(func() {
			<-release // when the requests are over, and gin's contexts belong to others
			assert.Equal(t, id, reqid.FromContext(ctx))
			assert.Equal(t, "user-"+id, reqid.User(ctx))
			assert.NoError(t, ctx.Err())
		})
	})
	var clients sync.WaitGroup
	for worker := range 8 {
		clients.Go(func() {
			for i := range 50 {
				id := strconv.Itoa(worker) + "-" + strconv.Itoa(i)
				s.get(t, "/start?id="+id, "X-Request-ID: "+id)
			}
		})
	}
	clients.Wait()
	close(release)
	background.Wait()
}

// No header makes a client somebody else, unless a trusted proxy sends it.
func TestClientIP(t *testing.T) {
	const peer = "192.0.2.1" // httptest's
	tests := []struct {
		name    string
		trusted []string
		headers []string
		want    string
	}{
		{"no proxy", nil, nil, peer},
		{"a client that lies", nil, []string{"X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6"}, peer},
		{"a proxy", []string{peer}, []string{"X-Forwarded-For: 7.7.7.7"}, "7.7.7.7"},
		{"a client that lies to a proxy", []string{"192.0.2.0/24"}, []string{"X-Forwarded-For: 6.6.6.6, 7.7.7.7"}, "7.7.7.7"},
		{"in two headers", []string{peer}, []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7"}, "7.7.7.7"},
		{"two proxies", []string{peer, "10.0.0.0/8"}, []string{"X-Forwarded-For: 6.6.6.6, 7.7.7.7, 10.1.1.1"}, "7.7.7.7"},
		{"a proxy without the header", []string{peer}, []string{"X-Real-IP: 6.6.6.6"}, peer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, tt.trusted...)
			s.GET("/", func(c *gin.Context) { c.String(http.StatusOK, c.ClientIP()) })
			assert.Equal(t, tt.want, s.get(t, "/", tt.headers...).Body.String())
		})
	}
	_, err := middleware.NewEngine(nil, time.Second, []string{"nonsense"})
	assert.EqualError(t, err, "trustedProxies: invalid IP address: nonsense, must be addresses, or ranges such as 10.0.0.0/8")
}

func TestSet(t *testing.T) {
	var order []string
	step := func(name string) func() (gin.HandlerFunc, error) {
		return middleware.Always(func(*gin.Context) { order = append(order, name) })
	}
	set := middleware.Set{
		"a": step("a"), "b": step("b"), "c": step("c"),
		"broken": func() (gin.HandlerFunc, error) { return nil, errors.New("burst is 0") },
	}
	chain, err := set.Chain([]string{"c", "a", "b"})
	require.NoError(t, err)
	s := newService(t)
	s.Use(chain...)
	s.get(t, "/")
	assert.Equal(t, []string{"c", "a", "b"}, order, "the order of the list")

	chain, err = set.Chain(nil)
	assert.NoError(t, err)
	assert.Empty(t, chain)

	_, err = set.Chain([]string{"a", "gzip", "a", "context", "broken", "A"})
	assert.EqualError(t, err, `unknown middleware "gzip": known are a, b, broken, c
middleware "a" is in the list twice
middleware "context" is always installed: leave it out of the list
middleware "broken": burst is 0
unknown middleware "A": known are a, b, broken, c`)
}

func TestOptions(t *testing.T) {
	s := newService(t)
	s.Use(middleware.Options())
	s.GET("/notes", ok)
	s.PUT("/notes", ok)
	got := s.do(t, "OPTIONS", "/notes", "")
	assert.Equal(t, http.StatusNoContent, got.Code)
	assert.Equal(t, "GET, PUT", got.Header().Get("Allow"))
	assert.Equal(t, http.StatusNotFound, s.do(t, "OPTIONS", "/nothing", "").Code)
	preflight := s.do(t, "OPTIONS", "/notes", "", "Origin: https://example.com", "Access-Control-Request-Method: PUT")
	assert.Equal(t, http.StatusMethodNotAllowed, preflight.Code, "it is for cors, which is not there")
}
