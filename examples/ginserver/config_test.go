//go:build unix

package main

import (
	"github.com/gracekit/gracekit/examples/ginserver/admin"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

// Whatever is wrong, the process ends with status 1 and one line that names it.
func TestBadConfigs(t *testing.T) {
	const file = "FILE: "
	tests := []struct{ name, config, want string }{
		{"unknown middleware", "server: {middlewares: [recovery, gzip]}",
			`unknown middleware "gzip": known are cors, dump, limit, logger, nocache, options, recovery, requestid, secure`},
		{"several problems in the list", "server: {middlewares: [logger, gzip, logger, context]}",
			`unknown middleware "gzip": known are cors, dump, limit, logger, nocache, options, recovery, requestid, secure; ` +
				`middleware "logger" is in the list twice; middleware "context" is always installed: leave it out of the list`},
		{"dump in release mode", "server: {middlewares: [dump]}",
			`middleware "dump": it logs what clients send, and refuses to work in release mode: remove it, or set the mode to debug`},
		{"unknown section", "mode: debug\nservers: {}", file + `line 2: unknown key "servers"`},
		{"unknown key", "server:\n  maxBody: 5\n  middleware: []", file + `line 3: unknown key "middleware"`},
		{"unknown key of a middleware", "limit:\n  burst: 5\n  rate: 1", file + `line 3: unknown key "rate"`},
		{"two unknown keys", "a: 1\nb: 2", file + `line 1: unknown key "a"; line 2: unknown key "b"`},
		{"the same key twice", "mode: debug\nmode: release", file + `line 2: mapping key "mode" already defined at line 1`},
		{"not a duration", "server: {requestTimeout: soon}", file + "line 1: soon: must be a duration, such as 10s"},
		{"a duration without a unit", "server:\n  requestTimeout: 10", file + "line 2: 10: must be a duration, such as 10s"},
		{"not a number", "server: {maxBody: 64k}", file + "line 1: 64k: must be a whole number"},
		{"not a list", "server: {middlewares: logger}", file + "line 1: logger: must be a list, such as [a, b]"},
		{"a list that is a section", "server: {middlewares: {logger: 1}}", file + "line 1: a section: must be a list, such as [a, b]"},
		{"not a section", "server: 5", file + "line 1: 5: must be a section with keys of its own"},
		{"not YAML", "server: [", file + "line 1: did not find expected node content"},
		{"two documents", "mode: debug\n---\nmode: release", file + "must be one YAML document, is several"},
		{"mode", "mode: production", `mode is "production", must be release or debug`},
		{"level", "log: {level: loud}", `log.level is "loud", must be debug, info, warn or error`},
		{"no time", "server: {requestTimeout: 0s}", "server.requestTimeout is 0s, must be at least 1ms (write 10s, with the unit)"},
		{"no body", "server: {maxBody: 0}", "server.maxBody is 0, must be positive"},
		{"no grace", "shutdown: {grace: 0s}", "shutdown.grace is 0s, must be positive"},
		{"negative delay", "shutdown: {delay: -1s}", "shutdown.delay is -1s, must not be negative"},
		{"negative linger", "shutdown: {linger: -1s}", "shutdown.linger is -1s, must not be negative"},
		{"no time to stop in", "shutdown: {delay: 20s}",
			"shutdown.grace is 25s, must be more than shutdown.delay (20s) and server.requestTimeout (10s) together, or requests get cut"},
		{"times without end", "shutdown: {delay: 2000000h}\nserver: {requestTimeout: 2000000h}",
			"shutdown.grace is 25s, must be more than shutdown.delay (2000000h0m0s) and server.requestTimeout (2000000h0m0s) together, or requests get cut"},
		{"proxy", "server: {trustedProxies: [proxy.internal]}",
			"server.trustedProxies: invalid IP address: proxy.internal, must be addresses, or ranges such as 10.0.0.0/8"},
		{"origins", "cors: {origins: []}", `middleware "cors": origins is empty: name those of your pages, such as https://app.example.com, or "*"`},
		{"an origin", "cors: {origins: [example.com]}", `middleware "cors": origin "example.com": must be as browsers send it, ` +
			`a scheme, a host, and a port if it is not the usual one, such as https://app.example.com or http://localhost:3000`},
		{"burst", "limit: {burst: 0}", `middleware "limit": burst is 0, must be at least 1`},
		{"rate", "limit: {perSecond: -1}", `middleware "limit": perSecond is -1, must be positive`},
		{"dump's body", "mode: debug\nserver: {middlewares: [dump]}\ndump: {maxBody: -1}", `middleware "dump": maxBody is -1, must not be negative`},
		{"an empty address", "server: {address: ''}", "server.address is empty, must be host:port, such as 127.0.0.1:8080"},
		{"no port", "server: {address: localhost}", "server.address: listen tcp: address localhost: missing port in address"},
		{"admin for everybody", "server: {adminAddress: ':0'}",
			"server.adminAddress: :0 can be reached from elsewhere: must be a loopback address, such as 127.0.0.1:6060"},
		{"admin for a network", "server: {adminAddress: '[::]:0'}",
			"server.adminAddress: [::]:0 can be reached from elsewhere: must be a loopback address, such as 127.0.0.1:6060"},
		{"admin without a port", "server: {adminAddress: localhost}", "server.adminAddress: address localhost: missing port in address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := writeConfig(t, tt.config)
			args := []string{"-config", path}
			if !strings.Contains(tt.config, "address:") {
				args = append(args, "-address", "127.0.0.1:0")
			}
			stdout, stderr, status := testproc.New(t, "main", args...).Run()
			assert.Equal(t, 1, status, "exit status")
			assert.Equal(t, "ginserver: "+strings.Replace(tt.want, file, path+": ", 1)+"\n", stderr)
			assert.Empty(t, stdout)
		})
	}
}

func TestBadStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	address := taken.Addr().String()
	inUse := "listen tcp " + address + ": bind: address already in use"
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"port in use", []string{"-address", address}, "server.address: " + inUse},
		{"admin port in use", []string{"-address", "127.0.0.1:0", "-admin-address", address}, "server.adminAddress: " + inUse},
		{"no such file", []string{"-config", "/nonexistent/config.yaml"}, "open /nonexistent/config.yaml: no such file or directory"},
		{"unknown flag", []string{"-nonsense"}, "flag provided but not defined: -nonsense (-help lists the flags)"},
		{"an argument", []string{"start"}, `unexpected argument "start" (-help lists the flags)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := testproc.New(t, "main", tt.args...).Run()
			assert.Equal(t, 1, status, "exit status")
			assert.Equal(t, "ginserver: "+tt.want+"\n", stderr)
			assert.Empty(t, stdout)
		})
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true, "localhost": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "128.0.0.1": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "[": false,
	} {
		assert.Equal(t, want, admin.IsLoopback(host), host)
	}
}
