//go:build !unix

// Command upgrade hands a listening socket to the next process, which it cannot do on this system.
package main

import (
	"log"
	"runtime"
)

func main() { log.Fatalf("upgrade: sockets cannot be passed to another process on %s", runtime.GOOS) }
