package shutdowntest

import (
	"testing"

	"github.com/gracekit/gracekit/internal/drain"
)

// Program starts a program, tries how it stops, and reports each fault as an error of t: what was
// measured, what it is about, and what to do. What does not apply to the program is logged, as is
// the rest.
//
// command is the program and its arguments. {port} in them is replaced by a free port of 127.0.0.1,
// {port2} and so on by others, and {dir} by an empty directory; see [Env], too. The program is
// started some 40 times, several at a time, and has to be ready within 30s each time.
//
// Everything that was started has ended when Program returns. On a system without SIGTERM the test
// is skipped. A program that cannot be started ends the test with what it has written.
func Program(t testing.TB, command []string, opts ...Option) {
	t.Helper()
	cfg := drain.Config{Command: command, Progress: func(line string) { t.Log(line) }}
	for _, o := range opts {
		if o != nil {
			o.apply(&cfg)
		}
	}
	if !drain.Supported() {
		t.Skip("this system has no SIGTERM")
	}
	report, err := drain.Run(t.Context(), cfg)
	if err != nil {
		t.Fatalf("shutdowntest: %v", err)
	}
	for _, row := range report.Rows {
		if row.Verdict == drain.Fault {
			t.Errorf("%s: %s\nWhat it is about: %s\nWhat to do: %s",
				row.Name, row.Figure, row.Means, row.Mend)
		}
	}
}
