//go:build unix

package listenandserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/migration/internal/process"
	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/shutdown"
)

// Both take the signals of their process, so each test has a process.
func TestMain(m *testing.M) {
	process.Main(m, map[string]func(){
		"before": func() { before(os.Getenv("ADDR"), http.HandlerFunc(slow), db{}) },
		"after": func() {
			if err := after(os.Getenv("ADDR"), http.HandlerFunc(slow), db{}); err != nil {
				os.Exit(1)
			}
		},
	})
}

// slow says when it has begun, and waits for the test; or, asked for a hang, for ever.
func slow(w http.ResponseWriter, r *http.Request) {
	fmt.Println("begun")
	if r.URL.Path == "/hang" {
		select {}
	}
	process.AwaitGoOn()
	_, _ = io.WriteString(w, "answer")
}

// A db says when it is closed.
type db struct{}

func (db) Close() error {
	fmt.Println("database is closed")
	return nil
}

func TestRequestInFlightIsAnswered(t *testing.T) {
	for _, child := range []string{"before", "after"} {
		t.Run(child, func(t *testing.T) {
			p, addr := start(t, child)
			answer := make(chan string, 1)
			go func() { answer <- get("http://" + addr + "/") }()
			require.Equal(t, "begun", p.Line())
			p.Signal(syscall.SIGTERM)
			awaitRefused(t, addr)
			p.GoOn()
			assert.Equal(t, "answer", <-answer)
			stdout, _, status := p.Wait()
			assert.Equal(t, "database is closed\n", stdout)
			assert.Zero(t, status)
		})
	}
}

// A request that never ends is cut. Only after closes the database then.
func TestHang(t *testing.T) {
	for child, want := range map[string]string{"before": "", "after": "database is closed\n"} {
		t.Run(child, func(t *testing.T) {
			t.Parallel()
			p, addr := start(t, child)
			go get("http://" + addr + "/hang")
			require.Equal(t, "begun", p.Line())
			p.Signal(syscall.SIGTERM)
			stdout, _, status := p.Wait()
			assert.Equal(t, want, stdout)
			assert.Equal(t, 1, status)
		})
	}
}

// The second signal ends after at once. before would take its five seconds.
func TestSecondSignal(t *testing.T) {
	p, addr := start(t, "after")
	go get("http://" + addr + "/hang")
	require.Equal(t, "begun", p.Line())
	p.Signal(syscall.SIGTERM)
	awaitRefused(t, addr)
	p.Signal(syscall.SIGINT) // a second SIGTERM within 5ms would count as the same
	_, stderr, status := p.Wait()
	assert.Contains(t, stderr, "exiting at once; waiting for ")
	assert.Equal(t, 1, status)
}

// The server for metrics answers when that of the API is gone.
func TestMetricsUntilTheEnd(t *testing.T) {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", testproc.FreeAddress(t))
		require.NoError(t, err)
		return l
	}
	gs := shutdown.New()
	api, metrics := listen(), listen()
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answer") })
	require.NoError(t, gs.GoHTTP("api", &http.Server{Handler: answer}, api))
	require.NoError(t, afterMetrics(gs, &http.Server{Handler: answer}, metrics))
	require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "ask", Func: func(context.Context) error {
		if conn, err := net.Dial("tcp", api.Addr().String()); err == nil {
			return errors.Join(errors.New("the API still accepts"), conn.Close())
		}
		if got := get("http://" + metrics.Addr().String()); got != "answer" {
			return errors.New(got)
		}
		return nil
	}}))
	require.NoError(t, gs.Start(t.Context()))
	require.Equal(t, "answer", get("http://"+api.Addr().String()))
	gs.Shutdown(errors.New("the test stops it"))
	require.NoError(t, gs.Wait())
}

func start(t *testing.T, child string) (p *process.Process, addr string) {
	t.Helper()
	addr = testproc.FreeAddress(t)
	p = process.Start(t, child, "export ADDR="+addr+";")
	require.Eventually(t, func() bool { return accepts(addr) }, 10*time.Second, 5*time.Millisecond)
	return p, addr
}

func awaitRefused(t *testing.T, addr string) {
	t.Helper()
	require.Eventually(t, func() bool { return !accepts(addr) }, 10*time.Second, 5*time.Millisecond)
}

func accepts(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

func get(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}
