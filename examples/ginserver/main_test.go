//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test binary runs itself again to be the server, so that it gets real signals.
const childVariable = "GINSERVER_TEST_CHILD"

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
	os.Exit(m.Run())
}

// A server is a process under test. What it logs is kept line by line.
type server struct {
	t          *testing.T
	cmd        *exec.Cmd
	stdout     strings.Builder
	url, admin string

	mu    sync.Mutex
	log   []string
	ended chan struct{} // closed when the log has ended, which is when the process has
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// writeConfig returns the path of a config file.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// start runs a server with this config on free ports, until the test ends.
func start(t *testing.T, config string) *server {
	t.Helper()
	s := &server{t: t, ended: make(chan struct{})}
	s.cmd = command(t, "-config", writeConfig(t, config), "-address", "127.0.0.1:0", "-admin-address", "127.0.0.1:0")
	s.cmd.Stdout = &s.stdout
	stderr, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	listening := make(chan []string, 1)
	go func() {
		defer close(s.ended)
		lines := bufio.NewReader(stderr) // no Scanner: a dump with a stack is a long line
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			s.mu.Lock()
			s.log = append(s.log, strings.TrimSuffix(line, "\n"))
			s.mu.Unlock()
			if m := regexp.MustCompile(`msg=listening url=(\S+) admin=(\S+) `).FindStringSubmatch(line); m != nil {
				listening <- m[1:]
			}
		}
	}()
	select {
	case addresses := <-listening:
		s.url, s.admin = addresses[0], addresses[1]
	case <-s.ended:
		t.Fatal("the server ended at once: ", s.logged())
	}
	return s
}

func (s *server) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

func (s *server) waitLogged(part string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return strings.Contains(s.logged(), part) }, 20*time.Second, time.Millisecond, part)
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// stop ends the server in good order.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	assert.Equal(s.t, 0, s.wait(), "exit status; log:\n%s", s.logged())
}

func (s *server) wait() (status int) {
	s.t.Helper()
	<-s.ended
	return exitStatus(s.t, s.cmd.Wait())
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	require.NoError(t, err)
	return 0
}

// An answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do makes a request with headers given as "Name: value".
func (s *server) do(method, url, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	require.NoError(s.t, err)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Add(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (s *server) get(path string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, s.url+path, "", headers...)
}

func (s *server) getAdmin(path string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, s.admin+path, "", headers...)
}

const (
	asAlice = "Authorization: Basic YWxpY2U6ZGVtbw==" // alice:demo
	isJSON  = "Content-Type: application/json"
)

func (s *server) createNote(text string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, s.url+"/v1/notes", fmt.Sprintf(`{"text":%q}`, text), asAlice, isJSON)
}
