//go:build unix

package main

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/iamtest"
)

func TestMain(m *testing.M) { iamtest.Main(m, main) }

const token = "the token of the feed"

func TestBadStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, []byte(" \n"), 0o600))
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("not PEM\n"), 0o600))
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no token", nil, "-feed-token-file is missing: the file with the token that the apiserver has, too"},
		{"two tokens", []string{"-feed-token", "a", "-feed-token-file", empty}, "-feed-token and -feed-token-file are both given, want one of them"},
		{"empty token", []string{"-feed-token-file", empty}, "-feed-token-file: " + empty + " is empty"},
		{"no such file", []string{"-feed-token-file", dir + "/no"}, "-feed-token-file: open " + dir + "/no: no such file or directory"},
		{"unknown flag", []string{"-nonsense"}, "flag provided but not defined: -nonsense (-help lists the flags)"},
		{"an argument", []string{"start"}, `unexpected argument "start" (-help lists the flags)`},
		{"debounce", []string{"-feed-token", token, "-debounce", "-1s"}, "debounce is -1s, must not be negative"},
		{"poll", []string{"-feed-token", token, "-poll", "0s"}, "poll is 0s, must be positive"},
		{"grace", []string{"-feed-token", token, "-grace", "0s"}, "grace is 0s, must be positive"},
		{"delay", []string{"-feed-token", token, "-delay", "-1s"}, "delay is -1s, must not be negative"},
		{"long delay", []string{"-feed-token", token, "-delay", "30s"}, "delay is 30s, which leaves nothing of grace 25s to stop in"},
		{"no port", []string{"-feed-token", token, "-addr", "localhost"}, "listen tcp: address localhost: missing port in address"},
		{"no feed", []string{"-feed-token", token, "-feed", ""}, "the address of the apiserver's feed is missing, want host:port"},
		{"a feed elsewhere", []string{"-feed-token", token, "-feed", "127.0.0.1:1,10.0.0.1:8081"}, `the address of the apiserver's feed is "10.0.0.1:8081", must be one of loopback without TLS: keys travel over it`},
		{"no CA", []string{"-feed-token", token, "-feed-ca", text}, "the CA of the feed is no certificate in PEM"},
		{"a short token", []string{"-feed-token", "short"}, "the token of the feed has 5 bytes, want at least 16"},
		{"no Redis", []string{"-feed-token", token, "-redis", ""}, "the address of Redis is empty, want host:port or a URL"},
		{"a bad Redis", []string{"-feed-token", token, "-redis", "redis://iam:s3cret@localhost:x"}, "notify: the URL of Redis is not one, want redis://user:password@host:port/database, or rediss:// for TLS"},
		{"stale at once", []string{"-feed-token", token, "-max-stale", "2s"}, "max-stale is 2s, must be more than two polls of 1s"},
		{"nowhere to write", []string{"-feed-token", token, "-decisions", dir + "/no/file"}, "-decisions: open " + dir + "/no/file: no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			output, err := iamtest.Command(t, tt.args...).CombinedOutput()
			assert.Equal(t, 1, iamtest.ExitStatus(t, err), "exit status")
			assert.Equal(t, "authzserver: "+tt.want+"\n", string(output))
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	output, err := iamtest.Command(t, "-help").CombinedOutput()
	assert.Equal(t, 0, iamtest.ExitStatus(t, err), "exit status")
	assert.Contains(t, string(output), "usage: authzserver [flags]\n")
	assert.Contains(t, string(output), "-feed-token-file file\n")
}

// A server that has never been ready, because there is neither an apiserver nor Redis, says so and
// stops when it is told to.
func TestStopBeforeReady(t *testing.T) {
	t.Parallel()
	cmd := iamtest.Command(t, "-addr", "127.0.0.1:0", "-feed", "127.0.0.1:1", "-redis", "127.0.0.1:1", "-feed-token", token)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var log strings.Builder
	told := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		m := regexp.MustCompile(`msg="cannot load, trying until it works" server="authz (\S+)"`).FindStringSubmatch(lines.Text())
		if m == nil || told {
			continue
		}
		told = true
		for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
			resp, err := http.Get("http://" + m[1] + path)
			require.NoError(t, err)
			_ = resp.Body.Close()
			assert.Equal(t, want, resp.StatusCode, path)
		}
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	}
	assert.Equal(t, 0, iamtest.ExitStatus(t, cmd.Wait()), "exit status")
	assert.True(t, told)
	assert.NotContains(t, log.String(), "msg=ready")
	assert.Contains(t, log.String(), `msg="shutdown complete"`)
}
