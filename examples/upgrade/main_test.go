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

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"main": main})
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
	cmd := exec.Command(s.path, append([]string{"-addr", testproc.FreeAddress(t), "-pid-file", s.pidFile()}, args...)...)
	cmd.Env = testproc.Env("main")
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

// install replaces the program as a deployment should: by another file with its name, never by
// writing into the one that is running.
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

// write writes a program. A process that another test starts meanwhile would have it open for
// writing for a moment, in which nobody can run it (golang/go#22315).
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
