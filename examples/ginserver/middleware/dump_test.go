package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
)

func TestDump(t *testing.T) {
	s := newService(t)
	dump, err := middleware.Dump(false, middleware.DumpConfig{MaxBody: 10, Redact: []string{"x-api-key"}}, s.log)
	require.NoError(t, err)
	s.Use(middleware.Recovery(s.write), dump)
	s.POST("/echo", func(c *gin.Context) {
		assert.Equal(t, "Bearer secret-1", c.GetHeader("Authorization"), "the handler sees what the log does not")
		body, err := io.ReadAll(c.Request.Body)
		assert.NoError(t, err)
		http.SetCookie(c.Writer, &http.Cookie{Name: "session", Value: "secret-5"})
		c.Data(http.StatusOK, "text/plain", body)
		_, err = c.Writer.WriteString("!")
		assert.NoError(t, err)
		assert.NoError(t, http.NewResponseController(c.Writer).Flush(), "it can be unwrapped")
	})
	s.GET("/panic", func(*gin.Context) { panic("x") })

	sent := "0123456789" + strings.Repeat("tail", 25)
	got := s.do(t, http.MethodPost, "/echo", sent, "Authorization: Bearer secret-1", "Cookie: a=secret-2", "Cookie: b=secret-3",
		"Proxy-Authorization: secret-4", "X-Api-Key: secret-6", "Accept: text/plain")
	assert.Equal(t, sent+"!", got.Body.String(), "what is dumped is delivered all the same")

	log := s.lines.String()
	assert.NotContains(t, log, "secret-")
	for _, part := range []string{
		"Authorization:[(redacted)]", "Cookie:[(redacted)]", "Proxy-Authorization:[(redacted)]", "X-Api-Key:[(redacted)]", "Set-Cookie:[(redacted)]",
		"Accept:[text/plain]", `request.body="0123456789… (100 bytes more)"`, `response.body="0123456789… (101 bytes more)"`, "response.status=200",
	} {
		assert.Contains(t, log, part)
	}

	assert.Equal(t, 500, s.get(t, "/panic").Code)
	assert.Contains(t, s.lines.String(), "request.path=/panic")
	assert.Contains(t, s.lines.String(), "response.status=500")
}

// Over HTTP/2 and for gin's Stream the writer has to be what it was.
func TestDumpLeavesStreamsAlone(t *testing.T) {
	s := newService(t)
	dump, err := middleware.Dump(false, middleware.DumpConfig{}, s.log)
	require.NoError(t, err)
	s.Use(dump)
	s.GET("/", func(c *gin.Context) {
		n := 0
		c.Stream(func(w io.Writer) bool {
			n++
			_, err := io.WriteString(w, "x")
			return err == nil && n < 3
		})
	})
	server := httptest.NewServer(s)
	defer server.Close()
	resp, err := http.Get(server.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "xxx", string(body))
	assert.Contains(t, s.lines.String(), `response.body="… (3 bytes more)"`)
}

func TestBadDumps(t *testing.T) {
	_, err := middleware.Dump(true, middleware.DumpConfig{}, nil)
	assert.EqualError(t, err, "it logs what clients send, and refuses to work in release mode: remove it, or set the mode to debug")
	_, err = middleware.Dump(false, middleware.DumpConfig{MaxBody: -1}, nil)
	assert.EqualError(t, err, "maxBody is -1, must not be negative")
}
