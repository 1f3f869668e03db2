//go:build unix

// Package draintest tries how the examples stop, as anyone would try a program of their own. It
// takes some minutes, so it is skipped unless GRACEKIT_TEST_DRAIN is set.
package draintest

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
)

// delay is longer than it takes a balancer to notice, on a busy machine too.
const delay = "600ms"

func TestHTTPServer(t *testing.T) {
	shutdowntest.Program(t, []string{build(t, "httpserver"), "-addr", "127.0.0.1:{port}",
		"-delay", delay, "-grace", "5s"},
		shutdowntest.Grace(8*time.Second), shutdowntest.Path("slow", "/slow?for=2s"))
}

func TestGinServer(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "server: {requestTimeout: 4s}\nshutdown: {delay: " + delay + ", grace: 5s}\n"
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	shutdowntest.Program(t, []string{build(t, "ginserver"), "-config", config,
		"-address", "127.0.0.1:{port}", "-admin-address", "127.0.0.1:{port2}"},
		shutdowntest.Grace(8*time.Second),
		shutdowntest.Request(http.MethodPost, "/v1/notes", `{"title":"a","text":"b"}`, nil))
}

func TestGRPCServer(t *testing.T) {
	shutdowntest.Program(t, []string{build(t, "grpcserver"), "-addr", "127.0.0.1:{port}",
		"-delay", delay, "-grace", "5s"},
		shutdowntest.Grace(8*time.Second))
}

// The worker serves nothing but its health, which no balancer asks for.
func TestWorker(t *testing.T) {
	shutdowntest.Program(t, []string{build(t, "worker"), "-addr", "127.0.0.1:{port}",
		"-journal", "{dir}/worker.db", "-collect-every", "100ms", "-collect-takes", "100ms",
		"-timeout", "4s", "-grace", "5s"},
		shutdowntest.Grace(8*time.Second),
		shutdowntest.Skip("replace-http1", "replace-newconn", "idle", "readiness"))
}

const token = "a token that is long enough for everybody"

func TestAPIServer(t *testing.T) {
	shutdowntest.Program(t, append([]string{build(t, "iam/apiserver"), "-addr", "127.0.0.1:{port}",
		"-feed", "127.0.0.1:{port2}", "-embedded-redis", "127.0.0.1:{port3}"}, apiserverFlags()...),
		shutdowntest.Grace(8*time.Second),
		shutdowntest.Request(http.MethodPost, "/login", `{"name":"nobody","password":"wrong"}`, nil))
}

func apiserverFlags() []string {
	return []string{"-feed-token", token, "-bcrypt-cost", "4", "-delay", delay, "-grace", "5s"}
}

func TestAuthzServer(t *testing.T) {
	addr, feed, redis := testproc.FreeAddress(t), testproc.FreeAddress(t), testproc.FreeAddress(t)
	apiserver := exec.Command(build(t, "iam/apiserver"),
		append([]string{"-addr", addr, "-feed", feed, "-embedded-redis", redis}, apiserverFlags()...)...)
	require.NoError(t, apiserver.Start())
	t.Cleanup(func() {
		_ = apiserver.Process.Signal(syscall.SIGTERM)
		_ = apiserver.Wait()
	})
	require.NoError(t, health.Wait(t.Context(), health.HTTP("http://"+addr+"/readyz")))
	shutdowntest.Program(t, []string{build(t, "iam/authzserver"), "-addr", "127.0.0.1:{port}",
		"-feed", feed, "-redis", redis, "-feed-token", token, "-delay", delay, "-grace", "5s"},
		shutdowntest.Grace(8*time.Second),
		shutdowntest.Request(http.MethodPost, "/v1/authz",
			`{"subject":"a","action":"b","resource":"c"}`, nil))
}

// build builds an example, and skips the test if it is not asked for.
func build(t *testing.T, example string) string {
	t.Helper()
	if os.Getenv("GRACEKIT_TEST_DRAIN") == "" {
		t.Skip("GRACEKIT_TEST_DRAIN is not set")
	}
	program := filepath.Join(t.TempDir(), filepath.Base(example))
	out, err := exec.Command("go", "build", "-o", program, "../../"+example).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}
