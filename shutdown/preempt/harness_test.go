package preempt_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/preempt"
)

// No manager may use a proxy. Every test would notice: nothing but the endpoint may be dialed.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		_ = os.Setenv(name, "http://proxy.invalid:3128")
	}
	os.Exit(m.Run())
}

func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// A network connects a manager with a metadata service without sockets, so that time can be that of
// a synctest bubble.
type network struct {
	t     *testing.T
	conns chan net.Conn
	done  chan struct{} // closed by Close, once

	mu      sync.Mutex
	handler http.Handler // of the metadata service; nil refuses connections
	dialed  int
}

func newNetwork(t *testing.T, h http.Handler) *network {
	t.Helper()
	n := &network{t: t, conns: make(chan net.Conn), done: make(chan struct{}), handler: h}
	srv := &http.Server{Handler: n}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(n)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})
	return n
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case conn := <-n.conns:
		return conn, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error   { close(n.done); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	assert.Equal(n.t, "169.254.169.254:80", addr, "the address that is dialed")
	n.mu.Lock()
	n.dialed++
	refused := n.handler == nil
	n.mu.Unlock()
	if refused {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// set replaces the metadata service.
func (n *network) set(h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handler = h
}

// requests returns how many there were since the last call.
func (n *network) requests() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	dialed := n.dialed
	n.dialed = 0
	return dialed
}

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	h := n.handler
	n.mu.Unlock()
	if h == nil { // since the connection was made
		panic(http.ErrAbortHandler)
	}
	h.ServeHTTP(w, r)
}

// A provider is a cloud and a metadata service like its own.
type provider struct {
	name    string
	manager func(...preempt.Option) shutdown.Manager
	every   time.Duration // its default
	service func() fake
}

// A fake is a metadata service; preempt makes it say that the machine is taken away in 30 seconds.
type fake interface {
	http.Handler
	preempt()
}

var providers = []provider{
	{"AWS", preempt.AWS, 5 * time.Second, func() fake { return newFakeAWS() }},
	{"Google Cloud", preempt.GoogleCloud, 5 * time.Second, func() fake { return newFakeGoogle() }},
	{"Azure", preempt.Azure, time.Second, func() fake { return newFakeAzure() }},
}

// A service is one with a manager, and what it logs.
type service struct {
	*shutdown.GracefulShutdown
	log *logLines
}

func start(t *testing.T, m shutdown.Manager, opts ...shutdown.Option) service {
	t.Helper()
	s := service{log: &logLines{}}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	s.GracefulShutdown = shutdown.New(append([]shutdown.Option{shutdown.Logger(logger)}, opts...)...)
	require.NoError(t, s.AddManager(m))
	begin := time.Now()
	if err := s.Start(t.Context()); err != nil { // a notice that stands already may come first
		require.ErrorIs(t, err, shutdown.ErrShuttingDown)
	}
	require.Zero(t, time.Since(begin), "Start waits")
	t.Cleanup(func() { s.end() })
	return s
}

func (s service) end() {
	s.Shutdown(nil)
	_ = s.Wait()
}

func (s service) draining() bool {
	select {
	case <-s.Draining():
		return true
	default:
		return false
	}
}

// notice waits for the notice that stops the service.
func (s service) notice(t *testing.T) *preempt.Notice {
	t.Helper()
	select {
	case <-s.Draining():
	case <-time.After(time.Hour):
		require.Fail(t, "nothing has stopped the service")
	}
	n := &preempt.Notice{}
	require.ErrorAs(t, s.Report().Reason, &n)
	return n
}

// told collects what OnOther is told.
type told struct {
	mu    sync.Mutex
	kinds []preempt.Kind
}

func (t *told) option() preempt.Option {
	return preempt.OnOther(func(n *preempt.Notice) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.kinds = append(t.kinds, n.Kind)
	})
}

func (t *told) all() []preempt.Kind {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kinds
}

type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns the lines since the last call.
func (l *logLines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSuffix(l.text.String(), "\n")
	l.text.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func answer(contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	})
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

var hang = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // before that, net/http does not notice that the client is gone
	<-r.Context().Done()
})
