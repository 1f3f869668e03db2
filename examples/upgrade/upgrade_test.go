//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/internal/stoptest"
	"github.com/gracekit/gracekit/internal/testproc"
)

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

// slowRequest returns when a request is in its handler, where it stays until finish is called,
// which returns the answer.
func (s *service) slowRequest() (finish func() string) {
	s.t.Helper()
	return slowRequest(s.t, s.url)
}

func slowRequest(t *testing.T, url string) (finish func() string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "POST /slow?for=0s HTTP/1.1\r\nHost: test\r\n"+
		"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	require.NoError(t, err)
	lines := bufio.NewReader(conn)
	line, err := lines.ReadString('\n') // 100: the handler reads the body
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue")
	_, err = lines.ReadString('\n')
	require.NoError(t, err)
	return func() string {
		t.Helper()
		_, err := conn.Write([]byte("x"))
		require.NoError(t, err)
		resp, err := http.ReadResponse(lines, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
}

// The pid file is removed after the last callback.
func TestStopWithoutAReaderOfTheLog(t *testing.T) {
	stoptest.BrokenPipe(t, func(t *testing.T) stoptest.Service {
		pidFile := filepath.Join(t.TempDir(), "pid")
		p := testproc.New(t, "main",
			"-addr", "127.0.0.1:0", "-pid-file", pidFile, "-linger", "100ms")
		var finish func() string
		return stoptest.Service{
			Process: p,
			Begin: func(log *testproc.Output) {
				finish = slowRequest(t, log.Await(`msg=serving .* url=(\S+)/ `)[1])
				assert.FileExists(t, pidFile)
			},
			Stopping: func() { assert.Contains(t, finish(), "that took 0s") },
			Ended:    func() { assert.NoFileExists(t, pidFile) },
		}
	})
}

// The second generation is replaced while the first one still drains, which is nothing that this
// one has to complain about.
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

// Once the new process may accept, it cannot be killed without a loss any more: it is asked to
// stop, too.
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
			"never healthy", []string{"-addr", "127.0.0.1:0", "-store", "/nowhere/store", "-health-timeout", "5s"}, "",
			"upgrade: component take over: health: gave up after * 503 Service Unavailable*\n",
		},
		{"not inherited", nil, inheritedVariable + "=1", "upgrade: UPGRADE_INHERITED is set, but descriptor 4 is not what it promises: *\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := testproc.New(t, "main", tt.args...)
			p.Cmd.Env = append(p.Cmd.Env, tt.env)
			_, stderr, status := p.Run()
			assert.Equal(t, 1, status, "exit status")
			pattern := "(?s)" + strings.ReplaceAll(regexp.QuoteMeta(tt.want), `\*`, `.*`) + "$"
			assert.Regexp(t, pattern, stderr)
		})
	}
}

func TestHelp(t *testing.T) {
	stdout, stderr, status := testproc.New(t, "main", "-help").Run()
	assert.Zero(t, status, "exit status")
	assert.Contains(t, stdout+stderr, "usage: upgrade [flags]\n")
}
