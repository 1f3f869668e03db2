package main

import _ "embed"

//go:embed config/haproxy.cfg
var haproxyConfig string

// haproxy notices by two failed checks in a row. Delay has to be longer than inter × fall.
func haproxy() proxyKind {
	return proxyKind{
		command: []string{"haproxy", "-db", "-f", "haproxy.cfg"},
		file:    "haproxy.cfg",
		config:  haproxyConfig,
	}
}
