//go:build unix

package main

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"port in use", []string{"-addr", taken.Addr().String()}, "listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		{"empty address", []string{"-addr", ""}, `-addr is "", want host:port`},
		{"no port", []string{"-addr", "localhost"}, "listen tcp: address localhost: missing port in address"},
		{"bad next", []string{"-addr", "127.0.0.1:0", "-next", "nowhere"}, `-next: "nowhere" is no address of a server, want host:port`},
		{"unknown flag", []string{"-nonsense"}, "flag provided but not defined: -nonsense (-help lists the flags)"},
		{"not a duration", []string{"-grace", "soon"}, `invalid value "soon" for flag -grace: parse error (-help lists the flags)`},
		{"an argument", []string{"start"}, `unexpected argument "start", want flags or, at the very beginning, client (-help lists the flags)`},
		{"no grace", []string{"-grace", "0s"}, "-grace is 0s, must be positive"},
		{"no age", []string{"-max-connection-age", "0s"}, "-max-connection-age is 0s, must be positive"},
		{"negative ping", []string{"-min-ping", "-1s"}, "-min-ping is -1s, must be positive"},
		{"negative delay", []string{"-delay", "-1s"}, "-delay is -1s, must not be negative"},
		{"too long a delay", []string{"-delay", "30s"}, "-delay is 30s, which leaves nothing of -grace 25s to stop in"},
		{"service alone", []string{"-service", "livez"}, `-service is "livez", which means nothing without -healthcheck`},
		{"healthcheck of nothing", []string{"-healthcheck", "-addr", "here"}, `-addr: `},
		{"client of nothing", []string{"client"}, "client: want visit, count, sum or watch (client -help says more)"},
		{"unknown command", []string{"client", "sing"}, `client: "sing" is nothing that it does, want visit, count, sum or watch (client -help says more)`},
		{"flag of another command", []string{"client", "watch", "-up-to", "3"}, "client watch: flag provided but not defined: -up-to (-help lists the flags)"},
		{"argument", []string{"client", "visit", "me"}, `client visit: unexpected argument "me" (-help lists the flags)`},
		{"no address", []string{"client", "visit", "-addr", "a:1,"}, `client visit: -addr is "a:1,", want host:port, or several with commas between them`},
		{"bad address", []string{"client", "visit", "-addr", "here"}, `"here" is no address of a server, want host:port`},
		{"bad address to watch", []string{"client", "watch", "-addr", "here"}, `"here" is no address of a server, want host:port`},
		{"ID that metadata cannot carry", []string{"client", "visit", "-request-id", "a\nb"}, `rpc error: code = Internal desc = header key "x-request-id"`},
		{"two to watch", []string{"client", "watch", "-addr", "a:1,b:2"}, `client watch: -addr is "a:1,b:2", want one server`},
		{"no calls", []string{"client", "visit", "-n", "0"}, "client visit: -n is 0, must be positive"},
		{"none at a time", []string{"client", "visit", "-parallel", "0"}, "client visit: -parallel is 0, must be positive"},
		{"too much work", []string{"client", "visit", "-work", "2m"}, "client visit: -work is 2m0s, want 0s to 1m0s"},
		{"no pause", []string{"client", "count", "-pause", "0s"}, "client count: -pause is 0s, want 1ms to 1m0s"},
		{"negative end", []string{"client", "sum", "-up-to", "-1"}, "client sum: -up-to is -1, want 0 to 1000000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := output(t, tt.args...)
			assert.Equal(t, 1, status, "exit status")
			assert.True(t, strings.HasPrefix(stderr, "grpcserver: "+tt.want), stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			assert.Empty(t, stdout)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"-help", "-max-connection-age duration\n"},
		{"client -help", "usage: grpcserver client visit|count|sum|watch [flags]\n"},
		{"client count -help", "-up-to number\n"},
	} {
		_, stderr, status := output(t, strings.Fields(tt.args)...)
		assert.Equal(t, 0, status, "exit status")
		assert.Contains(t, stderr, "usage: grpcserver ")
		assert.Contains(t, stderr, tt.want)
	}
}
