//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/signals"
)

// The test binary runs itself again to be the program: a process has one key for its instance IDs,
// hence one database.
const childVariable = "IAM_TEST_CHILD_ARGS"

func TestChild(t *testing.T) {
	args, is := os.LookupEnv(childVariable)
	if !is {
		t.Skip("it is run by the other tests")
	}
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signals.NotifyContext(t.Context())
	defer stop()
	require.NoError(t, run(ctx, strings.Split(args, "\n"), os.Stdout, os.Stderr))
}

// introduced runs everything and returns what it prints.
func introduced(t *testing.T, args ...string) (text string, stop func()) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(append([]string{"-ports", "0", "-bcrypt-cost", "4"}, args...), "\n"), "GORACE=atexit_sleep_ms=0")
	var stderr bytes.Buffer // read after the end only
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	stop = func() {
		assert.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		_, _ = io.Copy(io.Discard, stdout)
		assert.NoError(t, cmd.Wait(), &stderr)
	}
	buf := make([]byte, 64<<10)
	n, err := stdout.Read(buf) // it is written at once, and is smaller than what a pipe holds
	if !assert.NoError(t, err) {
		_ = cmd.Wait()
		t.Fatal(stderr.String())
	}
	return string(buf[:n]), stop
}

// The commands that are printed do what is said when they are pasted.
func TestTheCommandsThatArePrinted(t *testing.T) {
	t.Parallel()
	text, stop := introduced(t)
	defer stop()
	assert.Len(t, regexp.MustCompile(`(?m)^authzserver +http://127\.0\.0\.1:\d+$`).FindAllString(text, -1), authzservers)
	commands := regexp.MustCompile(`(?m)^curl .*$`).FindAllString(text, -1)
	require.Len(t, commands, 4, text)

	if err := exec.CommandContext(t.Context(), "curl", "--json", "{}", "--version").Run(); err != nil {
		t.Skip("there is no curl that knows --json")
	}
	paste := func(command string) string {
		t.Helper()
		output, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl -sS ", 1)).CombinedOutput()
		require.NoError(t, err, "%s\n%s", command, output)
		return string(output)
	}
	login, policies, authz, remove := commands[0], commands[1], commands[2], commands[3]
	assert.Contains(t, paste(login), `{"token":"`)
	assert.Contains(t, paste(policies), `"description":"everyone may read the articles"`)
	assert.Contains(t, paste(authz), `"allowed":true`)
	assert.Empty(t, paste(remove))
	require.Eventually(t, func() bool { return strings.Contains(paste(authz), `"allowed":false`) }, 30*time.Second, 10*time.Millisecond)
}

func TestASecondStartKnowsNoPassword(t *testing.T) {
	t.Parallel()
	db := "sqlite:" + t.TempDir() + "/iam.db"
	text, stop := introduced(t, "-db", db)
	assert.Contains(t, text, "The user admin has been created")
	stop()
	text, stop = introduced(t, "-db", db)
	assert.Contains(t, text, "The database is not new")
	assert.Len(t, regexp.MustCompile(`(?m)^curl `).FindAllString(text, -1), 1)
	stop()
}

// What one of them cannot do ends all, with its error.
func TestOneFails(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-ports", "0", "-db", "oracle:x"}, &stdout, &stderr)
	require.ErrorContains(t, err, `apiserver: store: database "oracle:x"`)
	assert.Empty(t, stdout.String())
}

func TestFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"unknown":        {[]string{"-nonsense"}, "flag provided but not defined: -nonsense (-help lists the flags)"},
		"argument":       {[]string{"start"}, `unexpected argument "start" (-help lists the flags)`},
		"ports":          {[]string{"-ports", "65535"}, "-ports is 65535, must be 0 to 65532"},
		"negative ports": {[]string{"-ports", "-1"}, "-ports is -1, must be 0 to 65532"},
		"grace":          {[]string{"-grace", "0s"}, "-grace is 0s, must be positive"},
		"delay":          {[]string{"-delay", "1m"}, "-delay is 1m0s, which leaves nothing of -grace 25s to stop in"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.EqualError(t, run(t.Context(), tt.args, io.Discard, io.Discard), tt.want)
		})
	}
}
