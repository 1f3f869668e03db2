//go:build unix

package main

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFlags(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-nonsense"},
			"flag provided but not defined: -nonsense (-help lists the flags)"},
		{"an argument", []string{"now"}, `unexpected argument "now" (-help lists the flags)`},
		{"no duration", []string{"-lag", "5"},
			`-lag is "5", want a duration such as 200ms (-help lists the flags)`},
		{"no number", []string{"-rate", "fast"},
			`-rate is "fast", want a whole number such as 500 (-help lists the flags)`},
		{"no bool", []string{"-json=maybe"},
			`-json is "maybe", want true or false (-help lists the flags)`},
		{"unknown traffic", []string{"-traffic", "http1,http4"},
			`-traffic has "http4", want some of ` +
				"http1,http1-new,http1.0,http2,http2-shared,http3,http3-again,grpc-unary,grpc-stream, or all"},
		{"unknown way", []string{"-stop", ""},
			`-stop has "", want some of kill,shutdown,sleep,fx,gracekit, or all`},
		{"unknown balancer", []string{"-via", "apache"},
			`-via has "apache", want some of own,unaware,haproxy,nginx,nginx-reload,caddy, or all`},
		{"unknown mode", []string{"-mode", "fast"},
			`-mode has "fast", want some of surge,sameport, or all`},
		{"unknown load", []string{"-load", "high"}, `-load has "high", want some of closed,open, or all`},
		{"nobody left", []string{"-replicas", "1"}, "-replicas is 1, want 2 to 100"},
		{"no replacement", []string{"-replacements", "0"}, "-replacements is 0, want 1 to 1000"},
		{"no end", []string{"-requests", "3000000"}, "-requests is 3000000, want 1 to 2000000"},
		{"no rate", []string{"-rate", "0"}, "-rate is 0, want 1 to 100000"},
		{"negative lag", []string{"-lag", "-1s"}, "-lag is -1s, want 0 or more"},
		{"checks too often", []string{"-lag", "1ms", "-via", "haproxy"},
			"-lag is 1ms, want at least 20ms: the balancers check that often"},
		{"negative work", []string{"-work", "-1s"}, "-work is -1s, want 0 or more"},
		{"never quiet", []string{"-quiet", "0s"}, "-quiet is 0s, want more than 0"},
		{"no time", []string{"-timeout", "0s"}, "-timeout is 0s, want more than 0"},
		{"delay too short", []string{"-delay", "200ms"},
			"-delay is 200ms, want more than -lag, 200ms: until then requests come in any case"},
		{"delay too long", []string{"-delay", "25s"},
			"-delay is 25s, want less than the 25s that a stop may take"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			_, err := parseFlags(tt.args, &stderr)
			assert.EqualError(t, err, tt.want)
			var usage usageError
			assert.ErrorAs(t, err, &usage, "exit status 2")
			assert.Empty(t, stderr.String())
		})
	}
	t.Run("a picture that cannot be written", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), []string{"-svg", "/no/such/dir/x.svg"}, &stdout, &stderr)
		assert.EqualError(t, err, `-svg is "/no/such/dir/x.svg", want a file that can be written: `+
			"open /no/such/dir/x.svg: no such file or directory")
		var usage usageError
		assert.ErrorAs(t, err, &usage, "exit status 2")
	})
	t.Run("defaults", func(t *testing.T) {
		cfg, err := parseFlags(nil, os.Stderr)
		require.NoError(t, err)
		assert.Equal(t, []string{viaOwn}, cfg.via)
		assert.Equal(t, []string{trafficHTTP1}, cfg.traffic)
		assert.Equal(t, []string{modeSurge}, cfg.mode)
		assert.Equal(t, []string{loadClosed}, cfg.load)
		assert.Equal(t, allStops(), cfg.stop)
		assert.Equal(t, 20, cfg.replacements)
	})
	t.Run("quick", func(t *testing.T) {
		cfg, err := parseFlags([]string{"-quick", "-replacements", "7", "-via", "own,own"}, os.Stderr)
		require.NoError(t, err)
		assert.Equal(t, []string{viaOwn}, cfg.via)
		assert.Equal(t, 7, cfg.replacements)
		assert.Equal(t, 1, cfg.requests)
		assert.Equal(t, []string{stopGracekit}, cfg.stop)
	})
}

func TestExperiments(t *testing.T) {
	t.Run("all", func(t *testing.T) {
		cfg, err := parseFlags([]string{"-traffic", "all", "-mode", "all", "-load", "all"}, os.Stderr)
		require.NoError(t, err)
		all, err := cfg.experiments(os.Stderr)
		require.NoError(t, err)
		assert.Len(t, all, len(allTraffic())*len(allModes())*len(allLoads()))
		assert.Equal(t, "own http1", all[0].String())
		assert.True(t, slices.ContainsFunc(all, func(e experiment) bool {
			return e.String() == "own http1 sameport open"
		}))
	})
	t.Run("what is impossible is skipped", func(t *testing.T) {
		cfg, err := parseFlags([]string{"-via", "own,unaware", "-traffic", "http2,http3"}, os.Stderr)
		require.NoError(t, err)
		var progress bytes.Buffer
		all, err := cfg.experiments(&progress)
		require.NoError(t, err)
		assert.Len(t, all, 3)
		assert.Equal(t,
			"unaware http3: skipped: the unaware balancer can only retry TCP connections\n",
			progress.String())
	})
	t.Run("nothing else is a mistake", func(t *testing.T) {
		cfg, err := parseFlags([]string{"-via", "unaware", "-traffic", "http2-shared"}, os.Stderr)
		require.NoError(t, err)
		_, err = cfg.experiments(&bytes.Buffer{})
		assert.EqualError(t, err,
			"nothing to do: the unaware balancer can only retry TCP connections")
		var usage usageError
		assert.ErrorAs(t, err, &usage, "exit status 2")
	})
	for _, tt := range []struct{ via, traffic, want string }{
		{viaNginx, trafficHTTP2, "nginx speaks nothing but HTTP/1 to the replicas"},
		{viaNginxReload, trafficUnary, "nginx speaks nothing but HTTP/1 to the replicas"},
		{viaCaddy, trafficHTTP2Shared, "caddy shares connections anyway; use http2"},
		{viaHAProxy, trafficHTTP3, "http3 goes by -via own only"},
	} {
		e := experiment{tt.via, modeSurge, tt.traffic, loadClosed}
		assert.EqualError(t, e.possible(), tt.want, "%s", e)
	}
}
