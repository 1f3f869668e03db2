package middleware_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
	"github.com/gracekit/gracekit/examples/ginserver/response"
)

func TestPanics(t *testing.T) {
	for name, value := range map[string]any{
		"text": "secret 42", "an error": errors.New("secret 42"), "something else": struct{ secret int }{42},
		"an answer": response.ErrNoRoute, // a panic is our fault, whatever the value
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.Use(middleware.Recovery(s.write), middleware.AccessLog(s.log))
			s.GET("/", func(*gin.Context) { panic(value) })
			got := s.get(t, "/", "X-Request-ID: x")
			assert.Equal(t, 500, got.Code)
			assert.Equal(t, `{"code":100001,"message":"internal error","requestID":"x"}`, got.Body.String())
			assert.Contains(t, s.lines.String(), "msg=request requestID=x method=GET path=/ status=500 ")
			assert.Contains(t, s.lines.String(), "recovery_test.go", "the stack")
		})
	}
}

// Half an answer must not look like a whole one, so these need a real connection.
func TestPanicsThatCutTheConnection(t *testing.T) {
	s := newService(t)
	s.Use(middleware.Recovery(s.write))
	s.GET("/half", func(c *gin.Context) {
		c.String(http.StatusOK, "half")
		c.Writer.Flush()
		panic("too late")
	})
	s.GET("/abort", func(*gin.Context) { panic(http.ErrAbortHandler) })
	server := httptest.NewServer(s)
	defer server.Close()

	resp, err := http.Get(server.URL + "/half")
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	assert.Equal(t, "half", string(body))
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Contains(t, s.lines.String(), "too late")

	_, err = http.Get(server.URL + "/abort")
	assert.ErrorIs(t, err, io.EOF)
	assert.NotContains(t, s.lines.String(), "abort", "whoever aborts wants no record")
}
