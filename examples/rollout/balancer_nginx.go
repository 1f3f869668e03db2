package main

import (
	_ "embed"
	"time"
)

//go:embed config/nginx.conf
var nginxConfig string

// nginx, the open source one, has no health checks: it learns from requests that fail.
func nginx() proxyKind {
	return proxyKind{
		command: []string{"nginx", "-p", ".", "-c", "nginx.conf", "-e", "stderr"},
		reload:  []string{"nginx", "-p", ".", "-c", "nginx.conf", "-e", "stderr", "-s", "reload"},
		file:    "nginx.conf",
		config:  nginxConfig,
		settle:  1100 * time.Millisecond, // more than fail_timeout
	}
}
