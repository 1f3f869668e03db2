package main

import _ "embed"

//go:embed config/Caddyfile
var caddyConfig string

// caddy notices by one failed check. Delay has to be longer than health_interval.
func caddy() proxyKind {
	return proxyKind{
		command: []string{"caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"},
		file:    "Caddyfile",
		config:  caddyConfig,
	}
}
