//go:build unix

package main

import (
	"os"
	"testing"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"main": main, "marked": mainThenMark})
	os.Exit(m.Run())
}

// markVariable is the file that the mode "marked" writes when main has returned.
const markVariable = "GRPCSERVER_TEST_MARK"

func mainThenMark() {
	main()
	if err := os.WriteFile(os.Getenv(markVariable), nil, 0o600); err != nil {
		os.Exit(9)
	}
}

// A process is the program under test. Its log is its standard error.
type process struct {
	*testproc.Process
	addr string
}

// start starts a server on a free address and returns when it is up.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := testproc.Start(t, "main", append([]string{"-addr", testproc.FreeAddress(t)}, args...)...)
	return &process{Process: p, addr: p.Stderr.Await(`msg=listening addr=(\S+) `)[1]}
}

// output runs the program to its end.
func output(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return testproc.New(t, "main", args...).Run()
}
