//go:build unix

package main

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestClientCommand(t *testing.T) {
	t.Parallel()
	b := start(t, "-name", "b")
	a := start(t, "-name", "a", "-next", b.addr)
	both := a.addr + "," + b.addr
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"visit", []string{"visit", "-addr", a.addr, "-request-id", "abc"},
			`^request ID of the answer: abc\nhop 1: server a, request ID abc\nhop 2: server b, request ID abc\n$`},
		{"visit, an ID that is not valid", []string{"visit", "-addr", b.addr, "-request-id", "a b"},
			`^request ID of the answer: [0-9a-f]{32}\nhop 1: server b, request ID [0-9a-f]{32}\n$`},
		{"many visits", []string{"visit", "-addr", both, "-n", "100", "-no-retry"}, `^100 calls, 0 failed; answered: (\d+ by a, )?\d+ by b\n$`},
		{"count", []string{"count", "-addr", b.addr, "-up-to", "5", "-pause", "1ms"},
			`^1 from b\n5 numbers, each once and in order; streams: 1\n$`},
		{"sum", []string{"sum", "-addr", both, "-up-to", "5", "-pause", "1ms"}, `^1 to 5 make 15; streams: 1\n$`},
		{"sum of nothing", []string{"sum", "-addr", both, "-up-to", "0"}, `^1 to 0 make 0; streams: 1\n$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := output(t, append([]string{"client"}, tt.args...)...)
			assert.Equal(t, 0, status, "exit status; %s", stderr)
			assert.Regexp(t, tt.want, stdout)
		})
	}
}

// Ctrl-C ends what has no end, and says so.
func TestClientIsInterrupted(t *testing.T) {
	t.Parallel()
	s := start(t, "-name", "a")
	for _, tt := range []struct {
		name  string
		args  []string
		first string
	}{
		{"count", []string{"client", "count", "-addr", s.addr, "-pause", "1ms"}, "1 from a"},
		{"watch", []string{"client", "watch", "-addr", s.addr}, "SERVING"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := testproc.Start(t, "main", tt.args...)
			p.Stdout.Expect(tt.first)
			p.Signal(syscall.SIGINT)
			p.Stderr.Expect("grpcserver: signals: received interrupt")
			assert.Equal(t, 1, p.Wait(), "exit status")
		})
	}
}

// The two programs together, as in the README.
func TestClientGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	a, b := start(t, "-name", "a"), start(t, "-name", "b")
	p := testproc.Start(t, "main", "client", "count", "-addr", a.addr+","+b.addr,
		"-up-to", "500", "-pause", "10ms") // long enough for the signal to come before the end
	line, _ := p.Stdout.Line()
	first := map[string]*process{"1 from a": a, "1 from b": b}[line]
	require.NotNil(t, first, line)
	first.Signal(syscall.SIGTERM)
	assert.Equal(t, 0, first.Wait(), "exit status")
	rest := p.Stdout.Rest()
	assert.Equal(t, 0, p.Wait(), "exit status")
	assert.Regexp(t, `^(\d+ was the last: rpc error: code = Unavailable desc = the server stops after message \d+: go on elsewhere\n)+`+
		`\d+ from [ab]\n500 numbers, each once and in order; streams: \d+\n$`, rest)
}
