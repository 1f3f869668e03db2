package shutdown_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/shutdown"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// errTest is the error of whatever fails in a test.
var errTest = errors.New("test: some failure")

// TestMain looks for goroutines that outlive the tests. (A synctest bubble looks for itself.)
func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"serves": serveUntilStop})
	code := m.Run()
	if leaked := leakedGoroutines(); code == 0 && leaked != "" {
		fmt.Fprintln(os.Stderr, "goroutines left:\n"+leaked)
		code = 1
	}
	os.Exit(code)
}

// serveUntilStop is a process of its own. Its argument is Delay; GET /stop begins the stop, and
// GET /stop-slowly one that asks its reason for its text for most of the time that it has.
func serveUntilStop() {
	delay, err := time.ParseDuration(os.Args[1])
	if err != nil {
		panic(err)
	}
	gs := shutdown.New(shutdown.Delay(delay), shutdown.Linger(2*sec), shutdown.Grace(30*sec))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	gs.GoHTTP("api", &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stop":
			gs.Shutdown(nil)
		case "/stop-slowly":
			gs.Shutdown(slowReason{})
		}
	})}, l)
	gs.Go("says", func(ctx context.Context) error {
		fmt.Println(l.Addr())
		<-gs.Draining()
		fmt.Println("stops")
		return nil
	})
	if err := gs.Run(context.Background()); err != nil {
		panic(err)
	}
}

type slowReason struct{}

func (slowReason) Error() string {
	time.Sleep(80 * ms)
	return "slow"
}

// leakedGoroutines returns the stacks of this package's goroutines. Those of a connection that was
// just closed may need a moment, so it looks several times.
func leakedGoroutines() string {
	var leaked []string
	for deadline := time.Now().Add(5 * sec); time.Now().Before(deadline); time.Sleep(10 * ms) {
		buf := make([]byte, 1<<20)
		leaked = nil
		for i, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if i > 0 && strings.Contains(stack, "gracekit/shutdown") {
				leaked = append(leaked, stack)
			}
		}
		if len(leaked) == 0 {
			return ""
		}
	}
	return strings.Join(leaked, "\n\n")
}

// bubble runs a subtest on a fake clock. It ends only when all of its goroutines have ended, so it
// looks for leaks as well.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// A service is a GracefulShutdown under test. Its methods fail the test on an error.
type service struct {
	*shutdown.GracefulShutdown
	t *testing.T
}

func newService(t *testing.T, opts ...shutdown.Option) service {
	return service{shutdown.New(opts...), t}
}

func (s service) callback(name string, phase shutdown.Phase, fn func(context.Context) error) {
	s.t.Helper()
	s.callbacks(shutdown.Callback{Name: name, Phase: phase, Func: fn})
}

func (s service) callbacks(callbacks ...shutdown.Callback) {
	s.t.Helper()
	require.NoError(s.t, s.AddCallback(callbacks...))
}

func (s service) managers(managers ...shutdown.Manager) {
	s.t.Helper()
	require.NoError(s.t, s.AddManager(managers...))
}

func (s service) component(name string, run func(context.Context) error) {
	s.t.Helper()
	require.NoError(s.t, s.Go(name, run))
}

func (s service) grpcServer(name string, srv shutdown.GRPCServer) {
	s.t.Helper()
	require.NoError(s.t, s.AddGRPCServer(name, srv))
}

func (s service) start() {
	s.t.Helper()
	require.NoError(s.t, s.Start(s.t.Context()))
}

func (s service) stop() error {
	s.Shutdown(nil)
	return s.Wait()
}

// timedStop returns how long the stop took by the clock. That says more than the report, which
// cannot know what comes after it.
func (s service) timedStop() (took time.Duration, err error) {
	begin := time.Now()
	err = s.stop()
	return time.Since(begin), err
}

func (s service) isDraining() bool {
	select {
	case <-s.Draining():
		return true
	default:
		return false
	}
}

// holdStop keeps the stop in its first step, in which everything is still served, until release
// is called. It stands for a Delay that is as long as the test needs.
func (s service) holdStop() (release func()) {
	s.t.Helper()
	held := make(chan struct{})
	s.managers(&manager{
		name:  "hold",
		begin: func(context.Context, error) error { <-held; return nil },
	})
	release = sync.OnceFunc(func() { close(held) })
	s.t.Cleanup(release)
	return release
}

// serve adds srv as "api", serves it on a loopback port from Start on, and returns the address.
func (s service) serve(srv *http.Server) (addr string) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	s.serveOn(srv, l)
	return l.Addr().String()
}

// serveFunc is serve of a handler.
func (s service) serveFunc(f http.HandlerFunc) (addr string) {
	s.t.Helper()
	return s.serve(&http.Server{Handler: f})
}

// serveInMemory is serve for a bubble, where time is exact.
func (s service) serveInMemory(srv *http.Server) *listener {
	s.t.Helper()
	l := newListener()
	s.serveOn(srv, l)
	return l
}

func (s service) serveOn(srv *http.Server, l net.Listener) {
	s.t.Helper()
	require.NoError(s.t, s.AddHTTPServer("api", srv))
	s.component("http", func(context.Context) error { return srv.Serve(l) })
}

// newReport returns a report with rows.
func newReport(r shutdown.Report, rows ...shutdown.Step) shutdown.Report {
	r.Steps = rows
	return r
}

func delayed(r shutdown.Report) time.Duration  { return stageRow(r, "delay").Duration }
func lingered(r shutdown.Report) time.Duration { return stageRow(r, "linger").Duration }

// stageRow returns the first row of a stage, or the zero Step.
func stageRow(r shutdown.Report, stage string) shutdown.Step {
	for _, row := range r.Steps {
		if row.Stage == stage {
			return row
		}
	}
	return shutdown.Step{}
}

// rowsOf returns the rows of the phases: callbacks, servers and components, but no hooks.
func rowsOf(r shutdown.Report) []shutdown.Step {
	var rows []shutdown.Step
	for _, row := range r.Steps {
		if row.Phase > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// hookRow returns the row of a manager's hook, "start" or "finish".
func hookRow(t *testing.T, r shutdown.Report, stage, name string) shutdown.Step {
	t.Helper()
	for _, row := range r.Steps {
		if row.Stage == stage && row.Name == name {
			return row
		}
	}
	t.Fatalf("the report has no row of the %s hook of %q:\n%s", stage, name, r)
	return shutdown.Step{}
}

// row returns the row called name; if there are several, the first that is not ok.
func row(t *testing.T, r shutdown.Report, name string) shutdown.Step {
	t.Helper()
	var found *shutdown.Step
	for _, row := range r.Steps {
		if row.Name == name && (found == nil || found.State == shutdown.StateOK) {
			found = &row
		}
	}
	if found == nil {
		t.Fatalf("the report has no row %q:\n%s", name, r)
	}
	return *found
}

// states returns the states of rowsOf.
func states(r shutdown.Report) string {
	var s []string
	for _, row := range rowsOf(r) {
		s = append(s, string(row.State))
	}
	return strings.Join(s, " ")
}

// assertTook compares how long something took that was given up at its deadline.
func assertTook(t *testing.T, want, got time.Duration, message ...any) {
	t.Helper()
	assert.GreaterOrEqual(t, got, want-3*notice, message...)
	assert.LessOrEqual(t, got, want+notice, message...)
}

// notice is how long a function gets to return after its deadline.
const notice = 10 * ms

// A manager is a Manager whose parts are functions, all of them optional.
type manager struct {
	name    string
	start   func(ctx context.Context, request func(error)) error
	begin   func(ctx context.Context, reason error) error
	finish  func(ctx context.Context, r shutdown.Report) error
	release func()

	ctx     context.Context // what its Start got
	request func(error)
}

func (m *manager) Name() string { return m.name }

func (m *manager) Start(ctx context.Context, request func(error)) error {
	m.ctx, m.request = ctx, request
	if m.start == nil {
		return nil
	}
	return m.start(ctx, request)
}

func (m *manager) ShutdownStart(ctx context.Context, reason error) error {
	if m.begin == nil {
		return nil
	}
	return m.begin(ctx, reason)
}

func (m *manager) ShutdownFinish(ctx context.Context, r shutdown.Report) error {
	if m.finish == nil {
		return nil
	}
	return m.finish(ctx, r)
}

func (m *manager) Release() {
	if m.release != nil {
		m.release()
	}
}

// A grpcServer is a GRPCServer whose parts are functions, both optional. (Real grpc-go is tested
// in the examples module.)
type grpcServer struct{ graceful, stop func() }

func (s grpcServer) GracefulStop() {
	if s.graceful != nil {
		s.graceful()
	}
}

func (s grpcServer) Stop() {
	if s.stop != nil {
		s.stop()
	}
}

// A closer is an io.Closer.
type closer func() error

func (c closer) Close() error { return c() }

// A logHandler is a slog.Handler that does something else with each record.
type logHandler func() error

func (h logHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (h logHandler) Handle(context.Context, slog.Record) error { return h() }
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h logHandler) WithGroup(string) slog.Handler             { return h }

// textLogger writes to w, without the time.
func textLogger(w io.Writer) *slog.Logger {
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
}

// Functions for callbacks and components.

func returns(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func sleep(d time.Duration) func(context.Context) error {
	return func(context.Context) error { time.Sleep(d); return nil }
}

func goexit(context.Context) error { runtime.Goexit(); return nil }

func untilStopped(ctx context.Context) error { <-ctx.Done(); return nil }

// hanging returns a function that ignores its context and hangs until the test ends.
func hanging(t *testing.T) func(context.Context) error {
	t.Helper()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return func(context.Context) error { <-release; return nil }
}

// misbehaviours are the ways in which user code fails. What hangs ends with release.
var misbehaviours = map[string]func(release <-chan struct{}) error{
	"error":        func(<-chan struct{}) error { return errTest },
	"panic":        func(<-chan struct{}) error { panic(errTest) },
	"panic string": func(<-chan struct{}) error { panic("boom") },
	"nil panic":    func(<-chan struct{}) error { panic(nil) },
	"Goexit":       func(<-chan struct{}) error { runtime.Goexit(); return nil },
	"hang":         func(release <-chan struct{}) error { <-release; return nil },
	"hang, then panic": func(release <-chan struct{}) error {
		<-release
		panic("after it was given up")
	},
	"hang, then Goexit": func(release <-chan struct{}) error {
		<-release
		runtime.Goexit()
		return nil
	},
}

// A journal records what happened, in order, with the time since its first line.
type journal struct {
	mu    sync.Mutex
	begin time.Time
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.begin.IsZero() {
		j.begin = time.Now()
	}
	j.lines = append(j.lines, fmt.Sprint(time.Since(j.begin), " ", line))
}

// callback returns a callback that notes its end.
func (j *journal) callback(name string, p shutdown.Phase, takes time.Duration) shutdown.Callback {
	return shutdown.Callback{Name: name, Phase: p, Func: func(context.Context) error {
		time.Sleep(takes)
		j.add(name)
		return nil
	}}
}

// A listener accepts in memory, either what its dial methods connect or what is sent to conns.
// A deadline ends Accept, for HoldListener; setDeadline may be replaced.
type listener struct {
	conns       chan net.Conn
	dialed      atomic.Int32
	setDeadline func(time.Time) error
	expired     chan struct{}
	closed      chan struct{}
	onceExpire  sync.Once
	onceClose   sync.Once
}

func newListener() *listener {
	l := &listener{
		conns:   make(chan net.Conn),
		expired: make(chan struct{}),
		closed:  make(chan struct{}),
	}
	l.setDeadline = func(deadline time.Time) error {
		if !deadline.IsZero() {
			l.onceExpire.Do(func() { close(l.expired) })
		}
		return nil
	}
	return l
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.expired:
		return nil, os.ErrDeadlineExceeded
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) SetDeadline(d time.Time) error { return l.setDeadline(d) }
func (l *listener) Addr() net.Addr                { return &net.TCPAddr{} }

func (l *listener) Close() error {
	l.onceClose.Do(func() { close(l.closed) })
	return nil
}

// dialContext is for a http.Transport.
func (l *listener) dialContext(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		l.dialed.Add(1)
		return client, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	}
}

func (l *listener) dial(t *testing.T) *conn {
	t.Helper()
	c, err := l.dialContext(t.Context(), "", "")
	require.NoError(t, err)
	return newConn(t, c)
}

// A conn is a client's connection on which HTTP/1.1 is spoken by hand, so that the test decides
// what goes over which connection, and when.
type conn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func newConn(t *testing.T, c net.Conn) *conn {
	t.Cleanup(func() { _ = c.Close() })
	return &conn{t, c, bufio.NewReader(c)}
}

func dial(t *testing.T, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	return newConn(t, c)
}

func (c *conn) send(path string, header ...string) {
	c.t.Helper()
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", path,
		strings.Join(append(header, ""), "\r\n"))
	require.NoError(c.t, err)
}

func (c *conn) receive() (resp *http.Response, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	require.NoError(c.t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp, string(b)
}

func (c *conn) receiveLine() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	require.NoError(c.t, err)
	return line
}

// get makes a request and reports whether its response says "Connection: close".
func (c *conn) get(path string) (saysClose bool) {
	c.t.Helper()
	c.send(path)
	resp, _ := c.receive()
	return resp.Close
}

func (c *conn) expectClosed() {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * sec)) // fails if it is closed
	_, err := c.r.ReadByte()
	assert.Error(c.t, err)
	assert.NotErrorIs(c.t, err, os.ErrDeadlineExceeded, "the server has not closed the connection")
}

// answers is a handler that answers with a text.
func answers(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}
