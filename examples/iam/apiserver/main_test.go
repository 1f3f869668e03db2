//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
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
	return startWith(t, nil, args...)
}

func startWith(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	s := &server{t: t, ended: make(chan struct{})}
	s.cmd = iamtest.Command(t, append([]string{
		"-addr", "127.0.0.1:0", "-feed", "127.0.0.1:0", "-embedded-redis", "127.0.0.1:0", "-feed-token", feedToken, "-bcrypt-cost", "4",
	}, args...)...)
	s.cmd.Env = append(s.cmd.Environ(), env...)
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
			if m := regexp.MustCompile(`msg"?[=:]"?ready.*url"?[=:]"?([^ "]+)`).FindStringSubmatch(lines.Text()); m != nil {
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

// No request fails for clients that leave when they are told to, by "Connection: close" in an
// answer. There is no other server to go to, so they just end: who goes on connecting to one that
// closes its listener is refused, or reset before it was accepted. On a busy machine a client may
// come late to what it is told, so the delay is long.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, "-admin-password-file", write(t, "password", "the admin's password"), "-delay", "2s")
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
		"unknown flag":           {[]string{"-nonsense"}, "apiserver: flag provided but not defined: -nonsense (-help lists the flags)\n"},
		"an argument":            {[]string{"start"}, `apiserver: unexpected argument "start" (-help lists the flags)` + "\n"},
		"no token":               {nil, "apiserver: -feed-token-file is missing: openssl rand -hex 32 makes a token\n"},
		"two tokens":             {append(token, "-feed-token-file", empty), "apiserver: -feed-token and -feed-token-file are both given, want one of them\n"},
		"an empty file":          {[]string{"-feed-token-file", empty}, "apiserver: -feed-token-file: " + empty + " is empty\n"},
		"no file":                {append(token, "-login-key-file", "/nonexistent"), "apiserver: -login-key-file: open /nonexistent: no such file or directory\n"},
		"a database and a file":  {append(token, "-db", "memory", "-db-file", empty), "apiserver: -db and -db-file are both given, want one of them\n"},
		"a short key before all": {append(token, "-login-key-file", write(t, "key", "short"), "-embedded-redis", busy), "apiserver: the key of the logins has 5 bytes, want at least 32\n"},
		"a middleware":           {append(free, "-server.middlewares", "recovery,gzip"), `apiserver: unknown middleware "gzip": known are cors, dump, limit, logger, nocache, options, recovery, requestid, secure` + "\n"},
		"dump":                   {append(free, "-server.middlewares", "dump"), "apiserver: middleware \"dump\": it logs what clients send, and refuses to work in release mode: remove it, or set the mode to debug\n"},
		"cors":                   {append(free, "-server.middlewares", "cors"), `apiserver: middleware "cors": origins is empty: name those of your pages, such as https://app.example.com, or "*"` + "\n"},
		"no such key":            {append(free, "-config", write(t, "iam.yaml", "server:\n  middleware: [recovery]\n")), `apiserver: error parsing YAML config: config file flag "server.middleware" not defined in flag set (-help lists the flags)` + "\n"},
		"no config":              {append(free, "-config", "/nonexistent.yaml"), "apiserver: open /nonexistent.yaml: no such file or directory (-help lists the flags)\n"},
		"a log format":           {append(free, "-log-format", "xml"), "apiserver: -log-format is \"xml\", must be text or json\n"},
		"a proxy":                {append(free, "-trusted-proxies", "nonsense"), "apiserver: trustedProxies: invalid IP address: nonsense, must be addresses, or ranges such as 10.0.0.0/8\n"},
		"a certificate":          {append(free, "-tls-cert", empty), "apiserver: of the certificate and the key of the API one is missing, want both or none\n"},
		"an open admin":          {append(free, "-admin-addr", "0.0.0.0:0"), "apiserver: 0.0.0.0:0 can be reached from elsewhere: must be a loopback address, such as 127.0.0.1:6060\n"},
		"two databases":          {append(token, "-db", "sqlite:x", "-db-file", empty), "apiserver: -db and -db-file are both given, want one of them\n"},
		"a short key":            {append(free, "-login-key-file", write(t, "key", "short")), "apiserver: the key of the logins has 5 bytes, want at least 32\n"},
		"a database":             {append(free, "-db", "oracle:scott:tiger@x"), `apiserver: store: database "oracle:scott"…: want memory, sqlite:<file>, mysql:<DSN> or postgres://<…>` + "\n"},
		"an open feed":           {append(free, "-feed", "0.0.0.0:0"), `apiserver: the feed's address is "0.0.0.0:0", must be one of loopback without TLS: keys travel over it` + "\n"},
		"a port in use":          {append(free, "-addr", busy), "apiserver: listen tcp " + busy + ": bind: address already in use\n"},
		"a Redis in use":         {append(token, "-embedded-redis", busy), "apiserver: embedded Redis: listen tcp " + busy + ": bind: address already in use (if that is a Redis server, use it: -redis " + busy + ")\n"},
		"too long a wait":        {append(free, "-delay", "30s"), "apiserver: delay is 30s, which leaves nothing of grace 25s to stop in\n"},
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

// Flags count more than the environment, and that more than the file.
func TestConfig(t *testing.T) {
	t.Parallel()
	password := write(t, "password", "the admin's password")
	s := startWith(t, []string{"IAM_LOG_LEVEL=debug", "IAM_MAX_SECRETS=2", "IAM_ADMIN_ADDR=127.0.0.1:0"},
		"-admin-password-file", password, "-max-policies", "1", "-config", write(t, "iam.yaml", `
mode: debug
max-policies: 7
max-secrets: 7
log-level: ERROR
log-format: json
server:
  middlewares: [requestid, recovery, logger, dump, secure, cors, limit]
cors:
  origins: [https://app.example.com]
limit: {per-second: 1000, burst: 1000}
dump:
  redact: [X-Api-Key]
`))
	token := s.login("the admin's password")
	statuses := func(path, body string) (all []int) {
		for i := range 3 {
			status, _, err := call(t.Context(), http.DefaultClient, "POST", s.url+path, token, fmt.Sprintf(body, i))
			require.NoError(t, err)
			all = append(all, status)
		}
		return all
	}
	assert.Equal(t, []int{201, 201, 403}, statuses("/v1/secrets", `{"metadata":{"name":"s%d"}}`), "the environment")
	assert.Equal(t, []int{201, 403, 403}, statuses("/v1/policies",
		`{"metadata":{"name":"p%d"},"policy":{"effect":"allow","subjects":["*"],"actions":["*"],"resources":["*"]}}`), "the flag")

	req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/secrets", nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://app.example.com")
	req.Header.Set("X-Api-Key", "a key that nobody must see")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, "https://app.example.com", resp.Header.Get("Access-Control-Allow-Origin"), "the file")

	admin := regexp.MustCompile(`"msg":"for operators",.*"url":"([^"]+)"`).FindStringSubmatch(s.logged())
	require.NotNil(t, admin, "JSON by the file, and a level by the environment: %s", s.logged())
	for path, want := range map[string]string{
		"/metrics":        `http_request_duration_seconds_count{method="POST",route="/v1/secrets",status="201"} 2`,
		"/readyz?verbose": "[+] database up", "/version": `"go":"go1.`, "/debug/pprof/cmdline": "-max-policies",
	} {
		resp, err := http.Get(admin[1] + path)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		assert.Contains(t, string(text), want, path)
	}
	s.terminate()
	assert.Contains(t, s.logged(), `"msg":"dump"`)
	for _, secret := range []string{"a key that nobody must see", "eyJ"} {
		assert.NotContains(t, regexp.MustCompile(`"body":"[^\n]*`).ReplaceAllString(s.logged(), ""), secret, "in a header")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	generate := exec.Command("go", "run", filepath.Join(strings.TrimSpace(string(goroot)), "src/crypto/tls/generate_cert.go"), "-ca", "-host", "127.0.0.1,localhost")
	generate.Dir = dir
	out, err := generate.CombinedOutput()
	require.NoError(t, err, "%s", out)
	s := start(t, "-tls-cert", filepath.Join(dir, "cert.pem"), "-tls-key", filepath.Join(dir, "key.pem"),
		"-admin-password-file", write(t, "password", "the admin's password"))
	require.Regexp(t, "^https://", s.url)
	pem, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	status, _, err := call(t.Context(), client, "POST", s.url+"/login", "", `{"name":"admin","password":"the admin's password"}`)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
	client.CloseIdleConnections()
	s.terminate()
}
