//go:build unix

package main

import (
	"os"
	"testing"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"main": main})
	os.Exit(m.Run())
}

// A process is the program under test. Its log is its standard error.
type process struct {
	*testproc.Process
	addr string
}

// start starts a server on a free port and returns when it is up.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := testproc.Start(t, "main", append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	return &process{Process: p, addr: p.Stderr.Await(`msg=listening addr=(\S+) `)[1]}
}

// output runs the program to its end.
func output(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return testproc.New(t, "main", args...).Run()
}
