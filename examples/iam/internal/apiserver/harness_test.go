package apiserver_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/iamtest"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/jsonx"
	"github.com/gracekit/gracekit/reqid"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	notify.SetLogger(slog.New(slog.DiscardHandler))
	m.Run()
}

const (
	adminPassword = "the admin's password"
	feedToken     = "the token of the feed"
)

var loginKey = []byte("a key for the logins, 32 bytes at least")

// A server is an apiserver that runs in this process, on real sockets.
type server struct {
	t     *testing.T
	url   string
	feed  string
	redis *miniredis.Miniredis
	log   *iamtest.Buffer
	stop  func() // and wait; it may be called more than once

	admin client
}

// start returns when the server has said that it is ready.
func start(t *testing.T, db string, change ...func(*apiserver.Options)) *server {
	t.Helper()
	s := &server{t: t, redis: miniredis.RunT(t), log: new(iamtest.Buffer)}
	o := options(t, db)
	o.Redis = s.redis.Addr()
	o.Log = slog.New(reqid.LogHandler(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ready := make(chan struct{})
	o.OnReady = func(addr, feed string) {
		s.url, s.feed = "http://"+addr, feed
		close(ready)
	}
	for _, f := range change {
		f(&o)
	}

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- apiserver.Run(ctx, o) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(t, err)
		t.Fatal("the server has ended")
	}
	t.Cleanup(s.stop)
	if o.TLSCert == "" {
		s.admin = s.login("admin", adminPassword)
	}
	return s
}

func options(t *testing.T, db string) apiserver.Options {
	t.Helper()
	o := apiserver.Defaults()
	o.Addr, o.Feed, o.FeedToken = "127.0.0.1:0", "127.0.0.1:0", feedToken
	o.DB, o.InstanceIDKey = db, []byte("for tests")
	o.LoginKey, o.AdminPassword = loginKey, adminPassword
	o.BcryptCost, o.LoginsPerSecond = bcrypt.MinCost, 1000
	o.MaxSecrets, o.MaxPolicyLength = 100, 10<<20
	o.Log = slog.New(slog.DiscardHandler)
	return o
}

// A client is somebody who is logged in.
type client struct {
	s     *server
	token string
}

func (s *server) anonymous() client { return client{s: s} }

func (s *server) login(name, password string) client {
	s.t.Helper()
	answer := s.anonymous().do("POST", "/login", object{"name": name, "password": password})
	require.Equal(s.t, http.StatusOK, answer.status, answer.text)
	return client{s, answer.body["token"].(string)}
}

// user creates a user and logs in.
func (s *server) user(name string) client {
	s.t.Helper()
	answer := s.admin.do("POST", "/v1/users", object{"metadata": object{"name": name}, "password": "password of " + name})
	require.Equal(s.t, http.StatusCreated, answer.status, answer.text)
	return s.login(name, "password of "+name)
}

type object = map[string]any

type answer struct {
	status int
	text   string
	body   object // nil if there is none
	header http.Header
}

func (a answer) code() int {
	code, _ := a.body["code"].(float64)
	return int(code)
}

func (a answer) metadata(member string) string {
	metadata, _ := a.body["metadata"].(object)
	text, _ := metadata[member].(string)
	return text
}

func (a answer) id() string { return a.metadata("instanceID") }

// do sends the body: a string or a reader as it is, and anything else as JSON.
func (c client) do(method, path string, body any) answer {
	c.s.t.Helper()
	var content io.Reader
	var data []byte // what it is, unless it is a stream
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
		content = strings.NewReader(b)
	case io.Reader: // of unknown length, so it goes in chunks
		content = b
	default:
		var err error
		data, err = jsonx.Marshal(b)
		require.NoError(c.s.t, err)
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(c.s.t.Context(), method, c.s.url+path, content)
	require.NoError(c.s.t, err)
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(c.s.t, err)
	a := answer{status: resp.StatusCode, text: string(text), header: resp.Header}
	if len(text) > 0 {
		require.NoError(c.s.t, jsonx.Unmarshal(text, &a.body), "%s %s: %s", method, path, text)
	}
	validate(c.s.t, req, data, a)
	return a
}

// must is do for what has to succeed.
func (c client) must(status int, method, path string, body any) answer {
	c.s.t.Helper()
	a := c.do(method, path, body)
	require.Equal(c.s.t, status, a.status, "%s %s: %s", method, path, a.text)
	return a
}

func (c client) list(path string) (items []object, total int) {
	c.s.t.Helper()
	a := c.must(http.StatusOK, "GET", path, nil)
	items = make([]object, 0)
	for _, item := range a.body["items"].([]any) {
		items = append(items, item.(object))
	}
	return items, int(a.body["totalCount"].(float64))
}

func names(items []object) []string {
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = item["metadata"].(object)["name"].(string)
	}
	return all
}

func newPolicy(name, effect string) object {
	return object{"metadata": object{"name": name}, "policy": object{
		"effect": effect, "subjects": []string{"users:*"}, "actions": []string{"read"}, "resources": []string{"articles:*"},
	}}
}

func newSecret(name string) object { return object{"metadata": object{"name": name}} }

// eventually is for what happens soon after a request has been answered.
func eventually(t *testing.T, condition func() bool, message string) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, time.Millisecond, message)
}

// listen returns a listener that accepts connections and says nothing.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// status is for answers that are no JSON.
func (s *server) status(path string) int {
	s.t.Helper()
	resp, err := http.Get(s.url + path)
	require.NoError(s.t, err)
	_ = resp.Body.Close()
	return resp.StatusCode
}
