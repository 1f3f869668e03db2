//go:build !unix

package main

import "log"

// Sessions, umask, SIGHUP and descriptors that are handed on exist on Unix alone. On Windows the
// counterpart of a daemon is a service: see package golang.org/x/sys/windows/svc.
func main() { log.Fatal("daemon: this example needs a Unix system") }
