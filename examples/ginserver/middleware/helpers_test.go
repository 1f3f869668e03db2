package middleware_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/reqid"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

// A service under test: an engine with its log.
type service struct {
	*gin.Engine
	write *response.Writer
	log   *slog.Logger
	lines *lockedBuffer
}

func newService(t *testing.T, trustedProxies ...string) *service {
	t.Helper()
	s := &service{lines: new(lockedBuffer)}
	s.log = slog.New(reqid.LogHandler(slog.NewTextHandler(s.lines, &slog.HandlerOptions{Level: slog.LevelDebug})))
	codes, err := response.NewCodes()
	require.NoError(t, err)
	s.write = response.NewWriter(codes, s.log)
	s.Engine, err = middleware.NewEngine(s.write, time.Minute, trustedProxies)
	require.NoError(t, err)
	s.Use(middleware.RequestID())
	return s
}

// do makes a request with headers given as "Name: value".
func (s *service) do(t *testing.T, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	got := httptest.NewRecorder()
	s.ServeHTTP(got, r)
	return got
}

func (s *service) get(t *testing.T, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return s.do(t, http.MethodGet, path, "", headers...)
}

func ok(c *gin.Context) { c.String(http.StatusOK, "ok") }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
