//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestDetach(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cmd := p.command("-detach", "-addr", "127.0.0.1:0", "-pid-file", "daemon.pid", "-log-file", "daemon.log")
	inherited, err := os.Create(p.path("inherited")) // a descriptor that this process has by accident
	require.NoError(t, err)
	defer inherited.Close()
	cmd.Cmd.ExtraFiles = []*os.File{nil, nil, nil, inherited}
	d := p.started(cmd.Run())

	body, err := get(d.url) // at once: it was to return no sooner
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("Hello, this is pid %d.\n", d.pid), body)
	assert.Equal(t, fmt.Sprintf("%d\n", d.pid), d.read("daemon.pid"))
	stdout, _, status := d.run("-status")
	assert.Equal(t, 0, status, "exit status")
	assert.Equal(t, fmt.Sprintf("daemon: running, pid %d\n", d.pid), stdout)

	session, err := unix.Getsid(d.pid)
	require.NoError(t, err)
	assert.Equal(t, d.pid, session, "the session")
	group, err := unix.Getpgid(d.pid)
	require.NoError(t, err)
	assert.Equal(t, d.pid, group, "the process group")
	for _, name := range []string{"daemon.pid", "daemon.log"} {
		info, err := os.Stat(d.path(name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o640), info.Mode().Perm(), name)
	}
	if runtime.GOOS == "linux" {
		directory, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", d.pid))
		require.NoError(t, err)
		assert.Equal(t, "/", directory)
		open := descriptors(t, d.pid)
		assert.Equal(t, os.DevNull, open["0"])
		assert.Equal(t, d.path("daemon.log"), open["1"])
		assert.Equal(t, d.path("daemon.log"), open["2"])
		for fd, file := range open {
			assert.NotEqual(t, d.path("inherited"), file, "descriptor %s", fd)
			assert.False(t, strings.HasPrefix(file, "pipe:"), "descriptor %s is %s", fd, file)
		}
	}
	d.stop()
	assert.NoFileExists(t, d.path("daemon.pid"))
	assert.Contains(t, d.read("daemon.log"), "received terminated")
}

func descriptors(t *testing.T, pid int) map[string]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	open := make(map[string]string)
	for _, e := range entries {
		if target, err := os.Readlink(dir + e.Name()); err == nil { // else it was closed meanwhile
			open[e.Name()] = target
		}
	}
	return open
}

func TestDetachWithoutLogFile(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	directory, err := os.MkdirTemp(p.dir, "")
	require.NoError(t, err)
	d := p.started(p.run("-detach", "-addr", "127.0.0.1:0", "-umask", "077", "-chdir", directory))
	info, err := os.Stat(d.path("daemon.pid"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	if runtime.GOOS == "linux" {
		now, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", d.pid))
		require.NoError(t, err)
		assert.Equal(t, directory, now)
		open := descriptors(t, d.pid)
		for _, fd := range []string{"0", "1", "2"} {
			assert.Equal(t, os.DevNull, open[fd], "descriptor %s", fd)
		}
	}
	d.stop()
}

// What the daemon says when it cannot start is said by the process that was to start it.
func TestFailedStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	p := newPlace(t)
	p.write("bad.json", `{"greetign": "Hello"}`)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"port in use", []string{"-addr", taken.Addr().String()}, "listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		{"no port", []string{"-addr", "localhost"}, "listen tcp: address localhost: missing port in address"},
		{"log file cannot be written", []string{"-log-file", "none/daemon.log"}, "log file: open " + p.path("none/daemon.log") + ": no such file or directory"},
		{"pid file cannot be written", []string{"-pid-file", "none/daemon.pid"}, "pid file: open " + p.path("none/daemon.pid") + ": no such file or directory"},
		{"no settings", []string{"-config", "none.json"}, "open " + p.path("none.json") + ": no such file or directory"},
		{"bad settings", []string{"-config", "bad.json"}, p.path("bad.json") + `: json: unknown field "greetign"; want something like {"greeting": "Hello"}`},
		{"no such directory", []string{"-chdir", "none"}, "chdir " + p.path("none") + ": no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-detach", "-addr", "127.0.0.1:0", "-pid-file", "daemon.pid", "-log-file", "daemon.log"}, tt.args...)
			stdout, stderr, status := p.command(args...).Run()
			assert.Equal(t, 1, status, "exit status")
			assert.Equal(t, "daemon: "+tt.want+"\n", stderr)
			assert.Empty(t, stdout)
			assert.NoFileExists(t, p.path("daemon.pid"))
		})
	}
}

// hang makes daemons in this place hang in their start: opening a FIFO waits for a reader. It
// happens when they have their pid file.
func (p place) hang() {
	p.t.Helper()
	require.NoError(p.t, unix.Mkfifo(p.path("daemon.log"), 0o600))
}

// starting begins to start a daemon that hangs, and returns when that has its pid file.
func (p place) starting() (starter *os.Process, ended func() (stderr string, status int), hanging *runningDaemon) {
	p.t.Helper()
	cmd := p.command("-detach", "-addr", "127.0.0.1:0", "-pid-file", "daemon.pid", "-log-file", "daemon.log")
	cmd.Start()
	hanging = p.awaitPIDFile()
	return cmd.Cmd.Process, func() (string, int) {
		_, stderr, status := cmd.Run()
		return stderr, status
	}, hanging
}

func (p place) awaitPIDFile() (d *runningDaemon) {
	p.t.Helper()
	p.await(func() (err error) {
		d, err = findDaemon(p.path("daemon.pid"))
		return err
	})
	p.t.Cleanup(d.close)
	return d
}

func TestStartTimeout(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.hang()
	_, stderr, status := p.run("-detach", "-addr", "127.0.0.1:0", "-log-file", "daemon.log", "-start-timeout", "2s")
	assert.Equal(t, 1, status, "exit status")
	assert.Regexp(t, `^daemon: pid \d+: it does not serve within -start-timeout 2s: killed\n$`, stderr)
	p.await(func() error { return mustNotRun(p) })
}

func mustNotRun(p place) error {
	if _, stderr, status := p.run("-status"); status != 3 {
		return fmt.Errorf("status %d: %s", status, stderr)
	}
	return nil
}

func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.hang()
	starter, ended, hanging := p.starting()
	require.NoError(t, starter.Signal(os.Interrupt))
	stderr, status := ended()
	assert.Equal(t, 1, status, "exit status")
	assert.Regexp(t, `^daemon: pid \d+: .*interrupt.*: killed\n$`, stderr)
	p.await(func() error { return hanging.gone(t.Context()) })
}

func TestDaemonThatDiesInItsStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.hang()
	_, ended, hanging := p.starting()
	require.NoError(t, hanging.process.Signal(syscall.SIGQUIT)) // the runtime prints the goroutines, as it does in a panic
	stderr, status := ended()
	assert.Equal(t, 1, status, "exit status")
	assert.Contains(t, stderr, "SIGQUIT: quit", "its last words")
	assert.Contains(t, stderr, fmt.Sprintf("daemon: pid %d ended before it served: exit status 2, see %s\n", hanging.process.Pid, p.path("daemon.log")))
}

// Programs that the daemon starts get nothing of what it has open; least of all the pipe to its
// starter, who would wait for their end, too.
func TestNothingIsHandedOn(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("what a process has open is in /proc")
	}
	p := newPlace(t)
	p.hang()
	_, ended, hanging := p.starting()
	pid := hanging.process.Pid
	open := descriptors(t, pid)
	assert.Regexp(t, "^pipe:", open["3"], "to the starter")
	for fd, file := range open {
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, fd))
		if err != nil || fd == "0" || fd == "1" || fd == "2" {
			continue // it was closed meanwhile, or is a standard stream
		}
		var position, flags int
		_, err = fmt.Sscanf(string(info), "pos: %d\nflags: %o", &position, &flags)
		require.NoError(t, err, "%s", info)
		assert.NotZero(t, flags&unix.O_CLOEXEC, "descriptor %s is %s", fd, file)
	}
	require.NoError(t, hanging.process.Kill())
	_, _ = ended()
}

// Whoever kills the starter thinks that the start has failed: a daemon must not be left of it.
func TestStarterThatDies(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.hang()
	starter, _, hanging := p.starting()
	require.NoError(t, starter.Kill())
	gone := func() bool { return starter.Signal(syscall.Signal(0)) != nil }
	require.Eventually(t, gone, patience, time.Millisecond)

	log, err := os.Open(p.path("daemon.log")) // the daemon goes on
	require.NoError(t, err)
	defer log.Close()
	_ = log.SetReadDeadline(time.Now().Add(patience)) // macOS has none for a FIFO
	text, err := io.ReadAll(log)                      // until it has ended
	require.NoError(t, err)
	assert.Contains(t, string(text), "the process that started this one is gone")
	p.await(func() error { return hanging.gone(t.Context()) })
	assert.NoFileExists(t, p.path("daemon.pid"))
}
