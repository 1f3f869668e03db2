//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/internal/stoptest"
	"github.com/gracekit/gracekit/internal/testproc"
)

// patience is how long a test waits for what has to happen; it is reached only by one that fails.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"main": func() {
		// A daemon outlives whoever started it: this is the last resort if a test is killed before
		// it could clean up.
		time.AfterFunc(2*time.Minute, func() { os.Exit(99) })
		main()
	}})
	os.Exit(m.Run())
}

// A place is a directory in which daemons run. None is left when the test ends.
type place struct {
	t   *testing.T
	dir string
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{t: t, dir: t.TempDir()}
	t.Cleanup(func() {
		if d, err := findDaemon(p.path("daemon.pid")); err == nil {
			_ = d.process.Kill()
			p.await(func() error { return d.gone(context.Background()) })
			d.close()
		}
	})
	return p
}

func (p place) path(name string) string { return filepath.Join(p.dir, name) }

func (p place) read(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(p.path(name))
	require.NoError(p.t, err)
	return string(data)
}

func (p place) write(name, text string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(p.path(name), []byte(text), 0o600))
}

// await asks again until there is no error.
func (p place) await(condition func() error) {
	p.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if err = condition(); err == nil {
			return
		}
	}
	log, _ := os.ReadFile(p.path("daemon.log"))
	require.NoError(p.t, err, "log:\n%s", log)
}

func (p place) awaitLog(name, text string) {
	p.t.Helper()
	p.await(func() error {
		data, err := os.ReadFile(p.path(name))
		if err == nil && !bytes.Contains(data, []byte(text)) {
			err = fmt.Errorf("%q is not in %s", text, name)
		}
		return err
	})
}

func (p place) command(args ...string) *testproc.Process {
	p.t.Helper()
	c := testproc.New(p.t, "main", args...)
	c.Cmd.Dir = p.dir
	return c
}

// run runs a command until its end. The paths are relative on purpose: the daemon does not stay in
// this directory.
func (p place) run(args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	return p.command(append(args, "-pid-file", "daemon.pid")...).Run()
}

// A daemon is a detached one that has been started, and serves.
type daemon struct {
	place
	pid int
	url string
}

var servesAt = regexp.MustCompile(`^daemon: pid (\d+) serves at (http://\S+)/\n$`)

func (p place) start(args ...string) daemon {
	p.t.Helper()
	stdout, stderr, status := p.run(append([]string{"-detach", "-addr", "127.0.0.1:0", "-log-file", "daemon.log"}, args...)...)
	return p.started(stdout, stderr, status)
}

func (p place) started(stdout, stderr string, status int) daemon {
	p.t.Helper()
	require.Equal(p.t, 0, status, "exit status; stderr: %s", stderr)
	assert.Empty(p.t, stderr)
	m := servesAt.FindStringSubmatch(stdout)
	require.NotNil(p.t, m, stdout)
	pid, err := strconv.Atoi(m[1])
	require.NoError(p.t, err)
	return daemon{place: p, pid: pid, url: m[2]}
}

func (d daemon) signal(sig syscall.Signal) {
	d.t.Helper()
	require.NoError(d.t, syscall.Kill(d.pid, sig))
}

func (d daemon) stop() {
	d.t.Helper()
	stdout, stderr, status := d.run("-stop")
	assert.Equal(d.t, 0, status, "exit status; stderr: %s", stderr)
	assert.Equal(d.t, fmt.Sprintf("daemon: pid %d has stopped\n", d.pid), stdout)
}

// get returns the body of a 200.
func get(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

func TestBadFlags(t *testing.T) {
	p := newPlace(t)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-nonsense"}, "flag provided but not defined: -nonsense (-help lists the flags)"},
		{"an argument", []string{"start"}, `unexpected argument "start" (-help lists the flags)`},
		{"the log in the pid file", []string{"-pid-file", "same", "-log-file", "./same"}, "-pid-file is " + p.path("same") + ", want a file that is nothing else: not -log-file, nor -config"},
		{"the settings in the pid file", []string{"-pid-file", "same", "-config", "./same"}, "-pid-file is " + p.path("same") + ", want a file that is nothing else: not -log-file, nor -config"},
		{"two commands", []string{"-stop", "-status"}, "-stop and -status exclude each other"},
		{"no pid file", []string{"-detach"}, "-detach needs -pid-file, by which the daemon is found"},
		{"umask in the foreground", []string{"-umask", "022"}, "-umask needs -detach: in the foreground it is up to whoever starts the program"},
		{"not octal", []string{"-detach", "-umask", "8"}, `invalid value "8" for flag -umask: want octal digits from 000 to 777 (-help lists the flags)`},
		{"too large a umask", []string{"-detach", "-umask", "1000"}, `invalid value "1000" for flag -umask: want octal digits from 000 to 777 (-help lists the flags)`},
		{"no grace", []string{"-grace", "0s"}, "-grace is 0s, must be positive"},
		{"no time to start", []string{"-start-timeout", "-1s"}, "-start-timeout is -1s, must be positive"},
		{"no time to stop", []string{"-stop-timeout", "0s"}, "-stop-timeout is 0s, must be positive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := p.command(tt.args...).Run()
			assert.Equal(t, 1, status, "exit status")
			assert.Equal(t, "daemon: "+tt.want+"\n", stderr)
			assert.Empty(t, stdout)
		})
	}
}

func TestHelp(t *testing.T) {
	stdout, stderr, status := newPlace(t).command("-help").Run()
	assert.Equal(t, 0, status, "exit status")
	assert.Contains(t, stderr, "usage: daemon [flags]\n")
	assert.Contains(t, stderr, "(default 027)")
	assert.Empty(t, stdout)
}

// As systemd runs it: the log goes to standard error, there is no pid file, and systemd is told
// everything.
func TestForeground(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("daemon.json", `{"greeting": "Hello"}`)
	c := p.command("-addr", "127.0.0.1:0", "-config", "daemon.json")
	expect := beSystemd(t, c.Cmd)
	c.Start()
	pid := c.Cmd.Process.Pid
	expect(`^READY=1\n$`)
	m := c.Stderr.Await(`(?m)^.*msg=listening url=(\S+)/ pid=` + strconv.Itoa(pid) + `\b`)
	body, err := get(m[1])
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("Hello, this is pid %d.\n", pid), body)

	p.write("daemon.json", `{"greeting": "Good morning"}`)
	c.Signal(syscall.SIGHUP)
	expect(`^RELOADING=1\n`)
	expect(`^READY=1\n$`)
	body, err = get(m[1])
	require.NoError(t, err)
	assert.Contains(t, body, "Good morning")

	c.Signal(syscall.SIGTERM)
	expect(`^STOPPING=1\n`)
	assert.Equal(t, 0, c.Wait(), "exit status")
	entries, err := os.ReadDir(p.dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "only the settings")
}

// The pid file is removed after the last callback.
func TestStopWithoutAReaderOfTheLog(t *testing.T) {
	stoptest.BrokenPipe(t, func(t *testing.T) stoptest.Service {
		p := newPlace(t)
		c := p.command("-addr", "127.0.0.1:0", "-pid-file", "daemon.pid")
		answered := make(chan struct{})
		return stoptest.Service{
			Process: c,
			Begin: func(log *testproc.Output) {
				url := log.Await(`msg=listening url=(\S+)/ `)[1]
				assert.FileExists(t, p.path("daemon.pid"))
				go func() {
					defer close(answered)
					body, err := get(url + "/slow?for=500ms")
					assert.NoError(t, err)
					assert.Equal(t, "That took 500ms.\n", body)
				}()
				log.Await(`slow request begins`)
			},
			Ended: func() {
				<-answered
				assert.NoFileExists(t, p.path("daemon.pid"))
			},
		}
	})
}

// beSystemd is the other end of cmd's messages: what it returns expects the next one.
func beSystemd(t *testing.T, cmd *exec.Cmd) (expect func(want string)) {
	t.Helper()
	dir, err := os.MkdirTemp("", "daemon") // t.TempDir is too long for a socket on some systems
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+name)
	return func(want string) {
		t.Helper()
		require.NoError(t, socket.SetReadDeadline(time.Now().Add(patience)))
		buffer := make([]byte, 4096)
		n, err := socket.Read(buffer)
		require.NoError(t, err)
		assert.Regexp(t, want, string(buffer[:n]))
	}
}
