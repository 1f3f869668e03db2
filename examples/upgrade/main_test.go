//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test binary runs itself again to be the server, so that it gets real signals.
const childVariable = "UPGRADE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	// Whoever runs the tests in the background may have these ignored, which children inherit unless somebody takes them.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	if err := becomeReaper(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests cannot see how processes end:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const within = 30 * time.Second // for what takes no time unless a test fails or the machine is very busy

// A service is all generations of a server under test, which write to one log.
type service struct {
	t    *testing.T
	dir  string
	path string // the program; a test replaces the file
	url  string

	mu   sync.Mutex
	log  []string
	pids []int // of the processes that have served, the last of which does now
}

func start(t *testing.T, args ...string) *service {
	t.Helper()
	dir := t.TempDir()
	s := &service{t: t, dir: dir, path: filepath.Join(dir, "server")}
	self, err := os.Executable()
	require.NoError(t, err)
	s.install(self)

	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(s.path, append([]string{"-addr", "127.0.0.1:0", "-pid-file", s.pidFile()}, args...)...)
	cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = write, write // a file, which each generation passes on
	require.NoError(t, cmd.Start())
	write.Close()
	serving := regexp.MustCompile(`pid=(\d+) url=(http://\S+)/ version=`)
	logEnded := make(chan struct{})
	go func() {
		defer close(logEnded)
		defer read.Close()
		for lines := bufio.NewScanner(read); lines.Scan(); {
			s.mu.Lock()
			s.log = append(s.log, lines.Text())
			if m := serving.FindStringSubmatch(lines.Text()); m != nil {
				pid, _ := strconv.Atoi(m[1])
				s.pids, s.url = append(s.pids, pid), m[2]
			}
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() { // whatever happened, nothing is left
		for _, pid := range s.generations() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = cmd.Process.Kill()
		select {
		case <-logEnded:
		case <-time.After(within):
			t.Error("a process is left that has the log open")
		}
		if t.Failed() {
			t.Log(s.logged())
		}
	})
	s.waitForGeneration(1)
	return s
}

func (s *service) pidFile() string { return filepath.Join(s.dir, "pid") }

func (s *service) pidInFile() string {
	s.t.Helper()
	content, err := os.ReadFile(s.pidFile())
	require.NoError(s.t, err)
	return string(content)
}

// install replaces the program as a deployment should: by another file with its name, never by writing into the one that is running.
func (s *service) install(program string) {
	s.t.Helper()
	fresh := s.path + ".new"
	if os.Link(program, fresh) != nil { // another file system
		content, err := os.ReadFile(program)
		require.NoError(s.t, err)
		s.write(fresh, content)
	}
	require.NoError(s.t, os.RemoveAll(s.path)) // only because renaming a link to another one of the same file does nothing
	require.NoError(s.t, os.Rename(fresh, s.path))
}

// write writes a program. A process that another test starts meanwhile would have it open for writing for a moment, in which nobody can
// run it (golang/go#22315).
func (s *service) write(path string, content []byte) {
	s.t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(s.t, os.WriteFile(path, content, 0o755))
}

func (s *service) installScript(content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "script")
	s.write(path, []byte(content))
	s.install(path)
	require.NoError(s.t, os.Remove(path))
}

func (s *service) installGood() {
	s.t.Helper()
	self, err := os.Executable()
	require.NoError(s.t, err)
	s.install(self)
}

// logged is behind what the processes do, even after they have ended: see waitForLog.
func (s *service) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

func (s *service) generations() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.pids...)
}

// waitForGeneration returns the process that is the n-th to serve.
func (s *service) waitForGeneration(n int) int {
	s.t.Helper()
	eventually(s.t, func() bool { return len(s.generations()) >= n }, "generation %d does not serve", n)
	return s.generations()[n-1]
}

func (s *service) waitForLog(pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	eventually(s.t, func() bool { return re.MatchString(s.logged()) }, "the log has no %q", pattern)
	return re.FindStringSubmatch(s.logged())
}

func eventually(t *testing.T, condition func() bool, format string, args ...any) {
	t.Helper()
	for begin := time.Now(); !condition(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > within {
			t.Fatalf(format, args...)
		}
	}
}

func (s *service) signal(pid int, sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, syscall.Kill(pid, sig))
}

// waitForExit returns the exit status of a generation.
func (s *service) waitForExit(pid int) (status int) {
	s.t.Helper()
	var ended bool
	eventually(s.t, func() bool { status, ended = reap(pid); return ended }, "process %d has not ended", pid)
	return status
}

// gone waits until a process is no more: neither running nor waiting to be reaped.
func (s *service) gone(pid int) {
	s.t.Helper()
	eventually(s.t, func() bool { return syscall.Kill(pid, 0) != nil }, "process %d is still there", pid)
}

func (s *service) get(path string) string {
	s.t.Helper()
	client := &http.Client{Timeout: within, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(s.url + path)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return string(body)
}

func (s *service) stop() {
	s.t.Helper()
	pids := s.generations()
	last := pids[len(pids)-1]
	s.signal(last, syscall.SIGTERM)
	assert.Equal(s.t, 0, s.waitForExit(last), "exit status")
	assert.NoFileExists(s.t, s.pidFile())
	_, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	assert.ErrorIs(s.t, err, syscall.ECONNREFUSED, "somebody else has kept the socket")
}

// A slow request is answered by the process that it came to, while its successor serves already.
func TestUpgrade(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR2} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s := start(t)
			first := s.waitForGeneration(1)
			assert.Equal(t, fmt.Sprintf("version 1, process %d\n", first), s.get("/"))
			finish := s.slowRequest()

			s.signal(first, sig)
			second := s.waitForGeneration(2)
			assert.Equal(t, fmt.Sprintln(second), s.pidInFile())
			s.waitForLog(fmt.Sprintf(`pid=%d reason="replaced by process %d"`, first, second))
			s.signal(first, syscall.SIGHUP)
			s.waitForLog(fmt.Sprintf(`msg="signal ignored" pid=%d signal=hangup reason="shutdown: already shutting down"`, first))
			assert.Equal(t, fmt.Sprintf("version 1, process %d: that took 0s\n", first), finish())
			assert.Equal(t, 0, s.waitForExit(first), "exit status")
			assert.Equal(t, fmt.Sprintln(second), s.pidInFile(), "it is not the old process's any more")
			assert.Equal(t, fmt.Sprintf("version 1, process %d\n", second), s.get("/"))
			s.stop()
		})
	}
}

// slowRequest returns when a request is in its handler, where it stays until finish is called, which returns the answer.
func (s *service) slowRequest() (finish func() string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "POST /slow?for=0s HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	require.NoError(s.t, err)
	lines := bufio.NewReader(conn)
	line, err := lines.ReadString('\n') // 100: the handler reads the body
	require.NoError(s.t, err)
	require.Contains(s.t, line, "100 Continue")
	_, err = lines.ReadString('\n')
	require.NoError(s.t, err)
	return func() string {
		s.t.Helper()
		_, err := conn.Write([]byte("x"))
		require.NoError(s.t, err)
		resp, err := http.ReadResponse(lines, nil)
		require.NoError(s.t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(s.t, err)
		return string(body)
	}
}

// The second generation is replaced while the first one still drains, which is nothing that this one has to complain about.
func TestUpgradeWhileAnOlderProcessDrains(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.waitForGeneration(1)
	finish := s.slowRequest()
	s.signal(first, syscall.SIGHUP)
	second := s.waitForGeneration(2)
	s.signal(second, syscall.SIGHUP)
	s.waitForGeneration(3)
	s.gone(second)
	assert.Contains(t, finish(), fmt.Sprintf("process %d:", first))
	assert.Equal(t, 0, s.waitForExit(first), "exit status")
	s.waitForLog(fmt.Sprintf(`msg="shutdown complete" pid=%d `, first)) // its last line
	assert.NotContains(t, s.logged(), "nobody serves")
	s.stop()
}

func TestSecondSignalDuringAnUpgrade(t *testing.T) {
	t.Parallel()
	store := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.WriteFile(store, nil, 0o600))
	s := start(t, "-store", store, "-health-timeout", "1m")
	first := s.waitForGeneration(1)
	require.NoError(t, os.Remove(store)) // so that the new one waits
	s.signal(first, syscall.SIGHUP)
	next, err := strconv.Atoi(s.waitForLog(`msg="upgrade begins".* new_pid=(\d+)`)[1])
	require.NoError(t, err)
	s.signal(first, syscall.SIGUSR2)
	s.waitForLog(fmt.Sprintf(`msg="signal ignored" pid=%d signal="user defined signal 2" reason="an upgrade is in progress"`, first))
	require.NoError(t, os.WriteFile(store, nil, 0o600))
	assert.Equal(t, next, s.waitForGeneration(2))
	assert.Equal(t, 0, s.waitForExit(first), "exit status")
	s.stop()
}

// Who stops the service means all of it.
func TestStopDuringAnUpgrade(t *testing.T) {
	tests := map[string]struct {
		sig    syscall.Signal
		status int
	}{
		"asked":  {syscall.SIGTERM, 0},
		"killed": {syscall.SIGKILL, -1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := filepath.Join(t.TempDir(), "store")
			require.NoError(t, os.WriteFile(store, nil, 0o600))
			s := start(t, "-store", store, "-health-timeout", "1m")
			first := s.waitForGeneration(1)
			require.NoError(t, os.Remove(store))
			s.signal(first, syscall.SIGHUP)
			next, err := strconv.Atoi(s.waitForLog(`msg="upgrade begins".* new_pid=(\d+)`)[1])
			require.NoError(t, err)
			s.signal(first, tt.sig)
			assert.Equal(t, tt.status, s.waitForExit(first), "exit status")
			if tt.sig == syscall.SIGTERM {
				s.waitForLog(`msg="upgrade given up" pid=\d+ new_pid=\d+ reason="this process was asked to stop`)
				s.gone(next)
				assert.NoFileExists(t, s.pidFile())
				return
			}
			require.NoError(t, os.WriteFile(store, nil, 0o600)) // it would be healthy now
			assert.Equal(t, 1, s.waitForExit(next), "exit status")
			s.waitForLog("upgrade: component take over: the old process has ended before it handed over")
		})
	}
}

// Once the new process may accept, it cannot be killed without a loss any more: it is asked to stop, too.
func TestStopInTheLastMomentOfAnUpgrade(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.waitForGeneration(1)
	stopping := filepath.Join(s.dir, "stopping")
	s.installScript("#!/bin/sh\ntrap 'echo asked to stop; exit 0' TERM\n" +
		"echo healthy >&4; read serve <&4\n" +
		"kill -TERM $PPID; until [ -e " + stopping + " ]; do sleep 0.01; done\n" +
		"echo serving >&4; while :; do sleep 0.01; done\n")
	s.signal(first, syscall.SIGHUP)
	s.waitForLog(`msg="shutdown begins" .*received terminated`)
	require.NoError(t, os.WriteFile(stopping, nil, 0o600))
	assert.Equal(t, 0, s.waitForExit(first), "exit status")
	s.waitForLog(`msg="upgrade done while stopping: the new process is asked to stop"`)
	s.waitForLog("(?m)^asked to stop$")
}

func TestBadStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel subtests
	tests := []struct {
		name string
		args []string
		env  string
		want string
	}{
		{"port in use", []string{"-addr", taken.Addr().String()}, "", "upgrade: listen tcp " + taken.Addr().String() + ": bind: address already in use\n"},
		{"unknown flag", []string{"-nonsense"}, "", "upgrade: flag provided but not defined: -nonsense (-help lists the flags)\n"},
		{"an argument", []string{"start"}, "", `upgrade: unexpected argument "start" (-help lists the flags)` + "\n"},
		{"no time to become healthy", []string{"-health-timeout", "0s"}, "", "upgrade: -health-timeout is 0s, must be positive\n"},
		{"no grace", []string{"-grace", "0s"}, "", "upgrade: -grace is 0s, must be positive\n"},
		{"negative linger", []string{"-linger", "-1s"}, "", "upgrade: -linger is -1s, must not be negative\n"},
		{
			"no directory for the pid file", []string{"-addr", "127.0.0.1:0", "-pid-file", "/nowhere/pid"}, "",
			"upgrade: component take over: -pid-file: open /nowhere/pid.*: no such file or directory\n",
		},
		{
			"never healthy", []string{"-addr", "127.0.0.1:0", "-store", "/nowhere/store", "-health-timeout", "50ms"}, "",
			"upgrade: component take over: health: gave up after * 503 Service Unavailable*\n",
		},
		{"not inherited", nil, inheritedVariable + "=1", "upgrade: UPGRADE_INHERITED is set, but descriptor 4 is not what it promises: *\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			require.NoError(t, err)
			cmd := exec.Command(self, tt.args...)
			cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0", tt.env)
			out, err := cmd.CombinedOutput()
			assert.Error(t, err)
			assert.Equal(t, 1, cmd.ProcessState.ExitCode(), "exit status")
			pattern := "(?s)" + strings.ReplaceAll(regexp.QuoteMeta(tt.want), `\*`, `.*`) + "$"
			assert.Regexp(t, pattern, string(out))
		})
	}
}

func TestHelp(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-help")
	cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(out), "usage: upgrade [flags]\n")
}
