//go:build unix

package shutdowntest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
)

// The tests' own binary is the program that is tried if the variable has a port.
const portVariable = "SHUTDOWNTEST_PORT"

func TestMain(m *testing.M) {
	if port := os.Getenv(portVariable); port != "" {
		if err := serve(net.JoinHostPort("127.0.0.1", port)); err != nil {
			log.Fatal(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serve(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	gs := shutdown.New(shutdown.Delay(500 * time.Millisecond))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {}) // it never turns
	mux.HandleFunc("GET /slow", func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) })
	_ = gs.AddManager(posixsignal.New())
	_ = gs.GoHTTP("http", &http.Server{Handler: mux}, l)
	return gs.Run(context.Background())
}

func TestProgram(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	command := []string{self}
	opts := []shutdowntest.Option{
		shutdowntest.Env(portVariable), shutdowntest.Path("slow", "/slow"), shutdowntest.Quick(), nil,
	}
	t.Run("without a fault", func(t *testing.T) {
		shutdowntest.Program(t, command, append(opts, shutdowntest.Only("in-flight", "exit"))...)
	})
	t.Run("with a fault", func(t *testing.T) {
		r := record(t, func(tb testing.TB) {
			shutdowntest.Program(tb, command, append(opts, shutdowntest.Only("in-flight", "readiness"))...)
		})
		require.Len(t, r.errors, 1)
		assert.Regexp(t, `^readiness: /readyz is ready until the listener is closed, `+
			`\S+ after the signal\nWhat it is about: .*\nWhat to do: Answer 503`, r.errors[0])
		assert.Contains(t, r.log.String(), "in-flight: ok: answered")
	})
	t.Run("that does not start", func(t *testing.T) {
		r := record(t, func(tb testing.TB) {
			shutdowntest.Program(tb, []string{"/bin/sh", "-c", "echo no license; exit 3", "{port}"})
		})
		assert.Regexp(t, `^shutdowntest: the program has ended, with exit status 3, before`, r.fatal)
		assert.Regexp(t, `\n    no license$`, r.fatal)
	})
}

func TestOptionsPanic(t *testing.T) {
	tests := []struct {
		want   string
		option func()
	}{
		{"Grace(0s): must be positive", func() { shutdowntest.Grace(0) }},
		{"Signal(0): must be positive", func() { shutdowntest.Signal(0) }},
		{`Env("A=B"): must be the name of a variable`, func() { shutdowntest.Env("A=B") }},
		{`Only("x"): there is no such experiment`, func() { shutdowntest.Only("x") }},
		{`Skip("x"): there is no such experiment`, func() { shutdowntest.Skip("x") }},
		{`Path("x", "/"): the purpose is none of`, func() { shutdowntest.Path("x", "/") }},
		{`Path("slow", "x"): the path must begin`, func() { shutdowntest.Path("slow", "x") }},
		{`Request("", "/"): want a method`, func() { shutdowntest.Request("", "/", "", nil) }},
	}
	for _, tt := range tests {
		func() {
			defer func() { assert.Contains(t, fmt.Sprint(recover()), "shutdowntest: "+tt.want) }()
			tt.option()
		}()
	}
}

// A recorder is a test that keeps what is said, and fails nothing.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	log    bytes.Buffer
	errors []string
	fatal  string
}

var errFatal = errors.New("FailNow")

func record(t *testing.T, test func(testing.TB)) (r *recorder) {
	t.Helper()
	r = &recorder{TB: t}
	defer func() {
		if v := recover(); v != nil && v != any(errFatal) {
			panic(v)
		}
	}()
	test(r)
	return r
}

func (r *recorder) Log(args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(&r.log, args...)
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	panic(errFatal)
}
