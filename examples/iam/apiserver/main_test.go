//go:build unix

package main

import (
	"bufio"
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
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/iamtest"
	"github.com/gracekit/gracekit/jsonx"
)

func TestMain(m *testing.M) { iamtest.Main(m, main) }

const feedToken = "the token of the feed"

// A server is a process under test.
type server struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	stdout bytes.Buffer  // to be read when the process has ended
	ended  chan struct{} // closed when the log has ended, which is when the process has

	mu  sync.Mutex
	log strings.Builder
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, ended: make(chan struct{})}
	s.cmd = iamtest.Command(t, append([]string{
		"-addr", "127.0.0.1:0", "-feed", "127.0.0.1:0", "-embedded-redis", "127.0.0.1:0", "-feed-token", feedToken, "-bcrypt-cost", "4",
	}, args...)...)
	s.cmd.Stdout = &s.stdout
	stderr, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	ready := make(chan string, 1)
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			fmt.Fprintln(&s.log, lines.Text())
			s.mu.Unlock()
			if m := regexp.MustCompile(`msg=ready .*url=(\S+) `).FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
	}()
	select {
	case s.url = <-ready:
	case <-s.ended:
		t.Fatal("the server ended at once: ", s.logged())
	}
	return s
}

func (s *server) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// terminate returns what the process has written to standard output.
func (s *server) terminate() string {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.ended
	require.NoError(s.t, s.cmd.Wait(), "the log:\n%s", s.logged())
	return s.stdout.String()
}

type reply struct {
	Token    string `json:"token"`
	Metadata struct {
		InstanceID string `json:"instanceID"`
	} `json:"metadata"`

	leave bool // the server wants its client to go elsewhere
}

func call(ctx context.Context, client *http.Client, method, url, token, body string) (status int, r reply, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, r, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return 0, r, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && len(data) > 0 {
		err = jsonx.Unmarshal(data, &r)
	}
	r.leave = resp.Close
	return resp.StatusCode, r, err
}

func (s *server) login(password string) string {
	s.t.Helper()
	status, r, err := call(s.t.Context(), http.DefaultClient, "POST", s.url+"/login", "", `{"name":"admin","password":"`+password+`"}`)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, status)
	return r.Token
}

func write(t *testing.T, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// A database in a file keeps everything, instance IDs included, and the password is shown once.
func TestRestart(t *testing.T) {
	t.Parallel()
	args := []string{
		"-db", "sqlite:" + filepath.Join(t.TempDir(), "iam.db"),
		"-login-key-file", write(t, "key", "a key for the logins, 32 bytes at least\n"),
		"-admin-password-file", write(t, "password", "the admin's password\n"),
	}
	s := start(t, args...)
	token := s.login("the admin's password")
	status, created, err := call(t.Context(), http.DefaultClient, "POST", s.url+"/v1/secrets", token, `{"metadata":{"name":"ci"}}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, status)
	stdout := s.terminate()
	assert.NotContains(t, stdout, "password", "the admin knows it")
	assert.Contains(t, stdout, "received terminated")

	s = start(t, args...)
	status, got, err := call(t.Context(), http.DefaultClient, "GET", s.url+"/v1/secrets/"+created.Metadata.InstanceID, token, "")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status, "the token is still valid")
	assert.Equal(t, created.Metadata.InstanceID, got.Metadata.InstanceID)
	s.terminate()
}

func TestTheFirstPasswordIsShownOnce(t *testing.T) {
	t.Parallel()
	db := "sqlite:" + filepath.Join(t.TempDir(), "iam.db")
	s := start(t, "-db", db)
	stdout := s.terminate()
	shown := regexp.MustCompile(`The user admin has been created, with the password (\S+)\n`).FindStringSubmatch(stdout)
	require.NotNil(t, shown, stdout)
	assert.NotContains(t, s.logged(), shown[1])
	s = start(t, "-db", db)
	s.login(shown[1])
	assert.NotContains(t, s.terminate(), "has been created")
}

// No request fails for clients that leave when they are told to, by "Connection: close" in an answer. There is no other server to
// go to, so they just end: who goes on connecting to one that closes its listener is refused, or reset before it was accepted.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, "-admin-password-file", write(t, "password", "the admin's password"), "-delay", "200ms")
	token := s.login("the admin's password")
	const clients = 16
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var answered atomic.Int64
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := 0; ; i++ {
				method, path, body, want := "GET", "/v1/policies?limit=1", "", http.StatusOK
				if i%4 == 0 {
					method, path, want = "POST", "/v1/policies", http.StatusCreated
					body = fmt.Sprintf(`{"metadata":{"name":"p-%d-%d"},"policy":{"effect":"allow","subjects":["*"],"actions":["*"],"resources":["*"]}}`, c, i)
				}
				status, r, err := call(context.Background(), client, method, s.url+path, token, body)
				if !assert.NoError(t, err) || !assert.Equal(t, want, status) {
					return
				}
				answered.Add(1)
				if r.leave {
					return
				}
			}
		})
	}
	require.Eventually(t, func() bool { return answered.Load() > 200 }, 30*time.Second, time.Millisecond)
	atSignal := answered.Load()
	s.terminate()
	wg.Wait()
	assert.Greater(t, answered.Load(), atSignal)
}

func TestBadStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	busy := taken.Addr().String()
	empty := write(t, "empty", " \n")
	token := []string{"-feed-token", feedToken}
	free := append(token, "-addr", "127.0.0.1:0", "-feed", "127.0.0.1:0", "-embedded-redis", "127.0.0.1:0")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag":    {[]string{"-nonsense"}, "apiserver: flag provided but not defined: -nonsense (-help lists the flags)\n"},
		"an argument":     {[]string{"start"}, `apiserver: unexpected argument "start" (-help lists the flags)` + "\n"},
		"no token":        {nil, "apiserver: -feed-token-file is missing: openssl rand -hex 32 makes a token\n"},
		"two tokens":      {append(token, "-feed-token-file", empty), "apiserver: -feed-token and -feed-token-file are both given, want one of them\n"},
		"an empty file":   {[]string{"-feed-token-file", empty}, "apiserver: -feed-token-file: " + empty + " is empty\n"},
		"no file":         {append(token, "-login-key-file", "/nonexistent"), "apiserver: -login-key-file: open /nonexistent: no such file or directory\n"},
		"two databases":   {append(token, "-db", "sqlite:x", "-db-file", empty), "apiserver: -db and -db-file are both given, want one of them\n"},
		"a short key":     {append(free, "-login-key-file", write(t, "key", "short")), "apiserver: the key of the logins has 5 bytes, want at least 32\n"},
		"a database":      {append(free, "-db", "oracle:scott:tiger@x"), `apiserver: store: database "oracle:scott"…: want memory, sqlite:<file>, mysql:<DSN> or postgres://<…>` + "\n"},
		"an open feed":    {append(free, "-feed", "0.0.0.0:0"), `apiserver: the feed's address is "0.0.0.0:0", must be one of loopback: keys travel over it, and it has no TLS` + "\n"},
		"a port in use":   {append(free, "-addr", busy), "apiserver: listen tcp " + busy + ": bind: address already in use\n"},
		"a Redis in use":  {append(token, "-embedded-redis", busy), "apiserver: embedded Redis: listen tcp " + busy + ": bind: address already in use (if that is a Redis server, use it: -redis " + busy + ")\n"},
		"too long a wait": {append(free, "-delay", "30s"), "apiserver: delay is 30s, which leaves nothing of grace 25s to stop in\n"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := iamtest.Command(t, tt.args...)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			stdout, err := cmd.Output()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			assert.Equal(t, 1, exit.ExitCode(), "exit status")
			lines := strings.SplitAfter(stderr.String(), "\n")
			assert.Equal(t, tt.want, lines[max(0, len(lines)-2)]) // after what was logged
			assert.Empty(t, stdout)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	output, err := iamtest.Command(t, "-help").CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(output), "usage: apiserver [flags]\n")
	assert.Contains(t, string(output), "-db database\n")
}
