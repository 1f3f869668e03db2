package health_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/internal/testproc"
)

// A watchedContext tells when somebody begins to wait for its end.
type watchedContext struct {
	context.Context
	waits func()
}

func (c watchedContext) Done() <-chan struct{} { c.waits(); return c.Context.Done() }

// TestMain fails if a goroutine is left over when all tests have ended.
func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"checks": checkForSixSeconds})
	code := m.Run()
	if leaked := leakedGoroutines(); code == 0 && leaked != "" {
		fmt.Fprintf(os.Stderr, "goroutines left over:\n\n%s\n", leaked)
		code = 1
	}
	os.Exit(code)
}

// checkForSixSeconds is a process of its own, which writes what its one check becomes.
func checkForSixSeconds() {
	r, err := health.New(health.Check{Name: "db", Period: 25 * time.Millisecond, Failures: 1,
		Probe: func(ctx context.Context) error {
			select {
			case <-time.After(20 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
	if err != nil {
		panic(err)
	}
	r.OnChange(func(e health.Event) { fmt.Println(e.To, e.Err) })
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Second)
	defer cancel()
	_ = r.Run(ctx)
}

// leakedGoroutines gives those that are ending some time to do so.
func leakedGoroutines() string {
	var leaked string
	deadline := time.Now().Add(10 * time.Second)
	for ; time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		var found []string
		for i, stack := range strings.Split(string(buf), "\n\n") {
			if i > 0 && (strings.Contains(stack, "gracekit/health") || strings.Contains(stack,
				"net/http.")) {
				found = append(found, stack)
			}
		}
		if leaked = strings.Join(found, "\n\n"); leaked == "" {
			return ""
		}
	}
	return leaked
}

// discardLog keeps what net/http says of refused handshakes out of the output of tests.
var discardLog = log.New(io.Discard, "", 0)

var errBad = errors.New("bad weather")

// listen returns a listener on loopback that is closed at the end of the test.
func listen(t testing.TB, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil && strings.HasPrefix(network, "tcp6") {
		t.Skipf("no IPv6 here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// closedAddr returns an address where nobody listens, and nobody else can: the port is that of a
// client's end of a connection.
func closedAddr(t testing.TB) string {
	t.Helper()
	hold := func(network, host, port string) (addr string, err error) {
		l, err := net.Listen(network, net.JoinHostPort(host, "0"))
		if err != nil {
			return "", err
		}
		t.Cleanup(func() { _ = l.Close() })
		local, err := net.ResolveTCPAddr(network, net.JoinHostPort(host, port))
		require.NoError(t, err)
		conn, err := (&net.Dialer{LocalAddr: local}).Dial(network, l.Addr().String())
		if err != nil {
			return "", err
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn.LocalAddr().String(), nil
	}
	addr, err := hold("tcp4", "127.0.0.1", "0")
	require.NoError(t, err)
	_, port, _ := net.SplitHostPort(addr)
	_, _ = hold("tcp6", "::1", port) // where there is IPv6
	return addr
}

// socketPath returns a path short enough for a unix socket (sun_path has 104 bytes on macOS).
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "health")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir + "/s"
}

// goroutineLabels returns the pprof labels of the goroutines as a goroutine profile shows them.
func goroutineLabels(t *testing.T) string {
	t.Helper()
	var profile bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	return profile.String()
}

// A switchable is a dependency that a test turns on and off.
type switchable struct {
	down  atomic.Bool
	calls atomic.Int32
}

func (s *switchable) probe(context.Context) error {
	s.calls.Add(1)
	if s.down.Load() {
		return errBad
	}
	return nil
}

func newRegistry(t testing.TB, checks ...health.Check) *health.Registry {
	t.Helper()
	r, err := health.New(checks...)
	require.NoError(t, err)
	return r
}

// start runs r in the background until the function it returns is called, or the test ends.
func start(t testing.TB, r *health.Registry) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, r.Run(ctx))
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func state(r *health.Registry) health.State { return r.Report(health.Ready).State }

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

const browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif," +
	"image/webp,*/*;q=0.8"

// get asks h as a client would, through a mux where both patterns of the doc comment are.
func get(h http.Handler, target string, accept ...string) *httptest.ResponseRecorder {
	return do(h, http.MethodGet, target, accept...)
}

func do(h http.Handler, method, target string, accept ...string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	mux.Handle("/readyz", h)
	mux.Handle("/readyz/{name}", h)
	req := httptest.NewRequest(method, target, nil)
	req.Header["Accept"] = accept
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	return w
}

// mixed returns a registry whose checks have one of each state and have all had their first result.
// It has to be called in a synctest bubble.
func mixed(t *testing.T) *health.Registry {
	r := newRegistry(t,
		health.Check{Name: "mysql", Probe: new(switchable).probe},
		health.Check{Name: "redis", Failures: 1,
			Probe: func(context.Context) error {
				return &health.PanicError{Value: "s3cret <b>",
					Stack: []byte("st4ck")}
			}},
		health.Check{Name: "cache", Probe: func(context.Context) error { return errBad },
			Period: time.Hour},
		health.Check{Name: "mail", Probe: func(context.Context) error { return errBad }, Failures: 1,
			Optional: true},
		health.Check{Name: "loop", Probe: new(switchable).probe, Kind: health.Live},
	)
	start(t, r)
	time.Sleep(time.Second)
	return r
}

// nullWriter is a ResponseWriter that costs nothing, so that only the handler is measured.
type nullWriter struct{ header http.Header }

func (w nullWriter) Header() http.Header { return w.header }

func (w nullWriter) Write(b []byte) (int, error) { return len(b), nil }

func (w nullWriter) WriteHeader(int) {}

// flapping changes its state with every run.
func flapping() health.Probe {
	n := 0
	return func(context.Context) error {
		if n++; n%2 == 0 {
			return errBad
		}
		return nil
	}
}

// upAfter returns a probe that fails until d has passed.
func upAfter(d time.Duration) health.Probe {
	start := time.Now()
	return func(context.Context) error {
		if time.Since(start) < d {
			return errBad
		}
		return nil
	}
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// A fakeDB is a database whose pings wait and fail as a test wants. It counts them.
type fakeDB struct {
	pings atomic.Int32
	ping  func(context.Context) error // nil for success
}

// open returns a pool of at most limit connections.
func (f *fakeDB) open(t *testing.T, limit int) *sql.DB {
	db := sql.OpenDB(f)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(limit)
	return db
}

func (f *fakeDB) Connect(context.Context) (driver.Conn, error) { return fakeConn{f}, nil }
func (f *fakeDB) Driver() driver.Driver                        { return nil }

type fakeConn struct{ db *fakeDB }

func (c fakeConn) Ping(ctx context.Context) error {
	c.db.pings.Add(1)
	if c.db.ping == nil {
		return nil
	}
	return c.db.ping(ctx)
}
func (fakeConn) Prepare(string) (driver.Stmt, error) { return nil, errBad }
func (fakeConn) Close() error                        { return nil }
func (fakeConn) Begin() (driver.Tx, error)           { return nil, errBad }

// A hostileError does in each of its methods what a test wants.
type hostileError struct{ do func() }

func (e hostileError) Error() string { e.do(); return "hostile" }

type hostileUnwrap struct{ do func() }

func (e hostileUnwrap) Error() string { return "hostile" }
func (e hostileUnwrap) Unwrap() error { e.do(); return nil }

type hostileIs struct{ do func() }

func (e hostileIs) Error() string { return "hostile" }
func (e hostileIs) Is(error) bool { e.do(); return false }

// forHostileErrors runs fn in a bubble for each way in which a method of an error can do harm.
func forHostileErrors(t *testing.T, fn func(t *testing.T, hostile error)) {
	for name, do := range map[string]func(release chan struct{}){
		"panics": func(chan struct{}) { panic("no text") },
		"exits":  func(chan struct{}) { runtime.Goexit() },
		"hangs":  func(release chan struct{}) { <-release },
	} {
		for method, hostile := range map[string]func(do func()) error{
			"Error":  func(do func()) error { return hostileError{do} },
			"Unwrap": func(do func()) error { return hostileUnwrap{do} },
			"Is":     func(do func()) error { return hostileIs{do} },
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					release := make(chan struct{})
					defer close(release)
					fn(t, hostile(func() { do(release) }))
				})
			})
		}
	}
}

// refused is the error of a connection that nobody accepts, as the system has it.
func refused() error {
	const wsaeConnRefused = syscall.Errno(10061) // package syscall has no name for it
	if runtime.GOOS == "windows" {
		return wsaeConnRefused
	}
	return syscall.ECONNREFUSED
}
