//go:build unix

package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/embedded"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// soon is never reached unless a test fails.
const soon = 60 * time.Second

// build returns a directory with the two programs.
func build(t *testing.T) string {
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./apiserver", "./authzserver").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// A process is one of the programs. Its log is a file, so that it never waits for a reader.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  string // path
}

// startProcess starts a program, which is killed at the end of the test.
func startProcess(t *testing.T, name, path string, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), name)
	require.NoError(t, err)
	defer log.Close() // the process has its own
	p := &process{t: t, name: name, cmd: exec.CommandContext(t.Context(), path, args...), log: log.Name()}
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = log
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", p.name, p.logged(15))
		}
	})
	return p
}

// lines returns the whole log.
func (p *process) lines() []string {
	data, err := os.ReadFile(p.log)
	require.NoError(p.t, err)
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// logged returns the last lines, without those of single requests.
func (p *process) logged(n int) string {
	lines := slices.DeleteFunc(p.lines(), func(line string) bool { return strings.Contains(line, "msg=request ") })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// waitFor waits for a line of the log.
func (p *process) waitFor(pattern string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	require.Eventually(p.t, func() bool { return re.MatchString(p.logged(1 << 20)) }, soon, 5*time.Millisecond, "%s in the log of %s", pattern, p.name)
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// terminate asks the process to stop, and waits until it has.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	require.NoError(p.t, p.cmd.Wait(), "the exit status of %s", p.name)
}

// kill is SIGKILL. It may be called again.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error says that it has ended
	_ = p.cmd.Wait()
}

// freeAddrs returns addresses, no two of them the same, on which to start a program, stop it, and
// start it again. The ports are below those that the system gives to outgoing connections, one of
// which could have one in the meantime.
func freeAddrs(t *testing.T, n int) (addrs []string) {
	for range 100 * n {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000)))
		if err != nil {
			continue
		}
		defer listener.Close() // when all have been chosen
		if addrs = append(addrs, listener.Addr().String()); len(addrs) == n {
			return addrs
		}
	}
	t.Fatal("no free ports")
	return nil
}

// A redisServer can be lost and come back.
type redisServer interface {
	addr() string
	lose()
	comeBack()
}

// An embeddedRedis is a process with a Redis in it: this test binary, started again with
// redisVariable in its environment.
type embeddedRedis struct {
	t       *testing.T
	at      string
	cmd     *exec.Cmd
	release io.Closer // the process ends when this is closed, or this one ends
}

const redisVariable = "IAM_TEST_REDIS_ADDR"

func TestRedisProcess(t *testing.T) {
	at := os.Getenv(redisVariable)
	if at == "" {
		t.Skip("it is the process that other tests start")
	}
	_, stop, err := embedded.Redis(at)
	require.NoError(t, err)
	defer stop()
	fmt.Println("redis is ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func newEmbeddedRedis(t *testing.T, at string) *embeddedRedis {
	r := &embeddedRedis{t: t, at: at}
	r.comeBack()
	t.Cleanup(r.lose)
	return r
}

func (r *embeddedRedis) addr() string { return r.at }

func (r *embeddedRedis) lose() {
	_ = r.cmd.Process.Kill()
	_ = r.release.Close()
	_ = r.cmd.Wait()
}

func (r *embeddedRedis) comeBack() {
	self, err := os.Executable()
	require.NoError(r.t, err)
	r.cmd = exec.Command(self, "-test.run=^TestRedisProcess$")
	r.cmd.Env = append(os.Environ(), redisVariable+"="+r.at)
	stdin, err := r.cmd.StdinPipe()
	require.NoError(r.t, err)
	r.release = stdin
	stdout, err := r.cmd.StdoutPipe()
	require.NoError(r.t, err)
	require.NoError(r.t, r.cmd.Start())
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if lines.Text() == "redis is ready" {
			return
		}
	}
	r.t.Fatal("the Redis process ended at once")
}

// A proxiedRedis is a real server, which others use as well, behind a proxy of its own: it is lost
// by having the server cut the proxy's connections, and closing the proxy.
type proxiedRedis struct {
	t      *testing.T
	server string
	at     string

	mu       sync.Mutex
	listener net.Listener // nil while it is lost
	upstream []net.Conn
}

func newProxiedRedis(t *testing.T, at, server string) *proxiedRedis {
	r := &proxiedRedis{t: t, server: server, at: at}
	r.comeBack()
	t.Cleanup(r.lose)
	return r
}

func (r *proxiedRedis) addr() string { return r.at }

func (r *proxiedRedis) lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener == nil {
		return
	}
	_ = r.listener.Close()
	r.listener = nil
	client, err := notify.NewClient(r.server)
	require.NoError(r.t, err)
	defer client.Close()
	for _, conn := range r.upstream {
		// One that has ended is no error.
		assert.NoError(r.t, client.ClientKillByFilter(context.Background(), "ADDR", conn.LocalAddr().String()).Err())
		_ = conn.Close()
	}
	r.upstream = nil
}

func (r *proxiedRedis) comeBack() {
	listener, err := net.Listen("tcp", r.at)
	require.NoError(r.t, err)
	r.mu.Lock()
	r.listener = listener
	r.mu.Unlock()
	go func() { // ends when the listener is closed
		for {
			down, err := listener.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", r.server)
			if err != nil {
				_ = down.Close()
				continue
			}
			r.mu.Lock()
			lost := r.listener != listener
			if !lost {
				r.upstream = append(r.upstream, up)
			}
			r.mu.Unlock()
			if lost {
				_, _ = down.Close(), up.Close()
				return
			}
			pipe := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_, _ = to.Close(), from.Close()
			}
			go pipe(up, down)
			go pipe(down, up)
		}
	}()
}
