//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

// allOfThem is every middleware there is, in debug mode.
const allOfThem = `
mode: debug
log: {level: debug}
server: {middlewares: [requestid, recovery, secure, options, nocache, cors, dump, logger, limit]}
`

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := start(t, allOfThem)
	created := s.createNote("Milk\nand bread")
	assert.Equal(t, 201, created.status)
	assert.Equal(t, `{"id":1,"author":"alice","text":"Milk\nand bread"}`, created.body)

	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		want                     string // ID stands for the request's ID
	}{
		{"list", "GET", "/v1/notes", "", nil, 200, `{"items":[{"id":1,"author":"alice","text":"Milk\nand bread"}]}`},
		{"get", "GET", "/v1/notes/1", "", nil, 200, `{"id":1,"author":"alice","text":"Milk\nand bread"}`},
		{"version 2", "GET", "/v2/notes/1", "", nil, 200, `{"id":1,"author":{"name":"alice"},"title":"Milk","body":"and bread"}`},
		{"slow", "GET", "/v1/slow?for=1ms", "", nil, 200, `{"took":"1ms"}`},
		{"no such note", "GET", "/v1/notes/7", "", nil, 404, `{"code":110001,"message":"there is no such note","reference":"/errors","requestID":"ID"}`},
		{"the same in version 2", "GET", "/v2/notes/7", "", nil, 404, `{"code":110001,"message":"there is no such note","reference":"/errors","requestID":"ID"}`},
		{"not an ID", "GET", "/v1/notes/x", "", nil, 400, `{"code":100005,"message":"id is \"x\", must be a number","requestID":"ID"}`},
		{"no such route", "GET", "/v3/notes", "", nil, 404, `{"code":100002,"message":"no such route","requestID":"ID"}`},
		{"no such method", "PUT", "/v1/notes", "", nil, 405, `{"code":100003,"message":"method not allowed here","requestID":"ID"}`},
		{"no author", "POST", "/v1/notes", `{"text":"x"}`, []string{isJSON}, 401,
			`{"code":100008,"message":"a note needs an author: send a user, and the password demo","requestID":"ID"}`},
		{"wrong password", "GET", "/v1/notes", "", []string{"Authorization: Basic YWxpY2U6eA=="}, 401,
			`{"code":100008,"message":"wrong user or password","requestID":"ID"}`},
		{"unknown field", "POST", "/v1/notes", `{"txt":"x"}`, []string{asAlice, isJSON}, 400, `{"code":100005,"message":"unknown field \"txt\"","requestID":"ID"}`},
		{"too long a text", "POST", "/v1/notes", `{"text":"` + strings.Repeat("x", 501) + `"}`, []string{asAlice, isJSON}, 400,
			`{"code":110002,"message":"text has 501 characters, must have 1 to 500","reference":"/errors","requestID":"ID"}`},
		{"too large a body", "POST", "/v1/notes", `{"text":"` + strings.Repeat("x", 70_000) + `"}`, []string{asAlice, isJSON}, 413,
			`{"code":100006,"message":"the body is larger than 65536 bytes","requestID":"ID"}`},
		{"another origin", "GET", "/v1/notes", "", []string{"Origin: http://evil.example"}, 403,
			`{"code":100009,"message":"pages of \"http://evil.example\" may not use this","requestID":"ID"}`},
		{"not a duration", "GET", "/v1/slow?for=1h", "", nil, 400,
			`{"code":100005,"message":"for is \"1h\", must be a duration from 0s to 8s, such as 1.5s","requestID":"ID"}`},
		{"a panic", "GET", "/v1/panic", "", nil, 500, `{"code":100001,"message":"internal error","requestID":"ID"}`},
		{"delete", "DELETE", "/v1/notes/1", "", nil, 204, ``},
		{"deleted", "DELETE", "/v1/notes/1", "", nil, 404, `{"code":110001,"message":"there is no such note","reference":"/errors","requestID":"ID"}`},
		{"list nothing", "GET", "/v1/notes", "", nil, 200, `{"items":[]}`},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := fmt.Sprintf("request-%d", i)
			got := s.do(tt.method, s.url+tt.path, tt.body, append(tt.headers, "X-Request-ID: "+id)...)
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, strings.ReplaceAll(tt.want, `"requestID":"ID"`, `"requestID":"`+id+`"`), got.body)
			assert.Equal(t, id, got.header.Get("X-Request-ID"))
			assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
			assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
		})
	}
	assert.Contains(t, s.get("/errors").body, `{"code":110001,"status":404,"message":"there is no such note","reference":"/errors"}`)
	s.stop()
	log := s.Stderr.String()
	assert.Contains(t, log, "a client must never read this", "what the panic said is for the log")
	assert.NotContains(t, log, "YWxpY2U6ZGVtbw", "credentials in a dump")
	assert.Contains(t, log, "Authorization:[(redacted)]")
	assert.Regexp(t, `msg=request requestID=\w+ username=alice method=POST path=/v1/notes status=201 `, log, "the log around the authentication knows the user")
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	assert.Contains(t, s.getAdmin("/metrics").body, `http_request_duration_seconds_count{method="GET",route="/readyz",status="200"} 1`,
		"it asks itself before it says that it is up")
	for _, path := range []string{"/healthz", "/livez", "/readyz", "/startupz"} {
		assert.Equal(t, "ok\n", s.get(path).body, path)
		assert.Equal(t, "ok\n", s.getAdmin(path).body, path)
	}
	assert.Equal(t, 200, s.get("/readyz/notes").status)
	assert.Equal(t, 404, s.get("/readyz/nothing").status)
	for _, path := range []string{"/readyz", "/readyz/notes"} {
		assert.Equal(t, 200, s.do(http.MethodHead, s.url+path, "").status, path)
	}
	for _, got := range []answer{s.get("/version"), s.getAdmin("/version")} {
		assert.Equal(t, 200, got.status)
		assert.Regexp(t, `"go":"go1\.\d+.*"json":"(.+)"}$`, got.body)
	}

	assert.Equal(t, 404, s.get("/v1/panic").status, "that is for the mode debug")
	for _, private := range []string{"/metrics", "/debug/pprof/"} {
		assert.Equal(t, 404, s.get(private).status, "%s must not be public", private)
		assert.Equal(t, 200, s.getAdmin(private).status)
		assert.Equal(t, 200, s.getAdmin(private, "Host: localhost:1").status)
		got := s.getAdmin(private, "Host: rebound.example:8081")
		assert.Equal(t, 403, got.status)
		assert.Equal(t, "the host is \"rebound.example\", must be localhost or a loopback address\n", got.body)
	}
	assert.Contains(t, s.getAdmin("/debug/pprof/goroutine?debug=1").body, "goroutine profile:")
	assert.Contains(t, s.getAdmin("/metrics").body, `http_request_duration_seconds_count{method="GET",route="/readyz/:name",status="200"} 1`)
	s.stop()
	assert.NotContains(t, s.Stderr.String(), "readyz", "probes do not fill the log")
}

func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, "server: {requestTimeout: 20ms}")
	got := s.get("/v1/slow?for=8s", "X-Request-ID: x")
	assert.Equal(t, 504, got.status)
	assert.Equal(t, `{"code":100011,"message":"it took too long","requestID":"x"}`, got.body)
	s.stop()
}

// A client that does not send its body to the end holds a connection no longer than ReadTimeout,
// and learns why.
func TestSlowBody(t *testing.T) {
	t.Parallel() // it takes the 5s that ReadTimeout is longer
	s := start(t, "server: {requestTimeout: 100ms}")
	begin := func(path string) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n%s\r\nContent-Length: 100\r\n\r\n{", path, asAlice, isJSON)
		require.NoError(t, err)
		return conn
	}
	end := func(conn net.Conn) string {
		got, err := io.ReadAll(conn) // to the end: the connection is closed
		require.NoError(t, err)
		return string(got)
	}
	read, unread := begin("/v1/notes"), begin("/v1/nothing")
	got := end(read)
	assert.Contains(t, got, "HTTP/1.1 408 Request Timeout\r\n")
	assert.Contains(t, got, `{"code":100013,"message":"the body came too slowly",`)
	assert.Contains(t, end(unread), "HTTP/1.1 404 Not Found\r\n", "net/http waits for the body that no handler reads, too")
	s.stop()
}

func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, allOfThem)
	got := s.get("/v1/notes", "X-Large: "+strings.Repeat("x", 64<<10))
	assert.Equal(t, 431, got.status)
	s.stop()
	for line := range strings.Lines(s.Stderr.String()) {
		assert.Less(t, len(line), 1<<10)
	}
}

func TestRateLimitIsPerClient(t *testing.T) {
	t.Parallel()
	const config = "limit: {perSecond: 0.001, burst: 2, maxClients: 10}\n"
	t.Run("nobody is believed", func(t *testing.T) {
		s := start(t, config)
		for i := range 3 {
			got := s.get("/v1/notes", fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i))
			assert.Equal(t, []int{200, 200, 429}[i], got.status)
			if got.status == 429 {
				assert.Regexp(t, `^(1000|9\d\d)$`, got.header.Get("Retry-After"))
				assert.Equal(t, "application/json; charset=utf-8", got.header.Get("Content-Type"))
			}
		}
		for range 10 {
			assert.Equal(t, 200, s.get("/readyz").status, "probes are not limited")
		}
		s.stop()
		assert.Contains(t, s.Stderr.String(), "status=429", "the log is around the limit in the default list")
	})
	t.Run("a trusted proxy is", func(t *testing.T) {
		s := start(t, config+"server: {trustedProxies: [127.0.0.1]}\n")
		for i := range 5 {
			assert.Equal(t, 200, s.get("/v1/notes", fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i)).status)
		}
		for i := range 3 { // within one /64
			got := s.get("/v1/notes", fmt.Sprintf("X-Forwarded-For: 2001:db8::%d", i))
			assert.Equal(t, []int{200, 200, 429}[i], got.status)
		}
		s.stop()
	})
}

// gin uses its Context again for the next request, while the work that this one has begun goes on.
func TestBackgroundWorkKeepsItsRequest(t *testing.T) {
	t.Parallel()
	s := start(t, "limit: {perSecond: 1e6, burst: 1000000}")
	require.Equal(t, 201, s.createNote("x").status)
	const clients, requests = 8, 20
	var running sync.WaitGroup
	for client := range clients {
		running.Go(func() {
			for i := range requests {
				id := fmt.Sprintf("export-%d-%d", client, i)
				req, err := http.NewRequest(http.MethodPost, s.url+"/v1/notes/1/export", nil)
				if !assert.NoError(t, err) {
					return
				}
				req.Header.Set("X-Request-ID", id)
				req.SetBasicAuth("user-"+id, "demo")
				resp, err := http.DefaultClient.Do(req)
				if assert.NoError(t, err) {
					assert.Equal(t, 202, resp.StatusCode)
					resp.Body.Close()
				}
			}
		})
	}
	running.Wait()
	s.stop() // which waits for the exports
	exported := regexp.MustCompile(`msg="note exported" requestID=(\S+) username=user-(\S+) id=1`).FindAllStringSubmatch(s.Stderr.String(), -1)
	seen := make(map[string]bool)
	for _, m := range exported {
		assert.Equal(t, m[1], m[2], "the user of another request")
		seen[m[1]] = true
	}
	assert.Len(t, seen, clients*requests, "an export is missing, or has the ID of another")
}

func TestPrintConfig(t *testing.T) {
	t.Parallel()
	stdout, _, status := testproc.New(t, "main", "-print-config").Run()
	require.Equal(t, 0, status, "exit status")
	want, err := os.ReadFile("config.yaml")
	require.NoError(t, err)
	assert.Equal(t, string(want), stdout)

	debug, err := os.ReadFile("config.debug.yaml")
	require.NoError(t, err)
	s := start(t, string(debug))
	assert.Equal(t, 200, s.get("/v1/notes").status)
	s.stop()
	assert.Contains(t, s.Stderr.String(), "msg=dump")
}

func TestHelp(t *testing.T) {
	stdout, stderr, status := testproc.New(t, "main", "-help").Run()
	assert.Equal(t, 0, status, "exit status")
	assert.Contains(t, stdout+stderr, "usage: ginserver [flags]\n")
	assert.Contains(t, stdout+stderr, "-config file\n")
}
