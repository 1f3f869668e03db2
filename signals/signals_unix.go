//go:build unix

package signals

import (
	"os"
	"syscall"
)

// uncatchable are the signals that POSIX lets no process catch.
var uncatchable = []os.Signal{syscall.SIGKILL, syscall.SIGSTOP}

// brokenPipe ends a Go program that writes to a standard output or standard error without a reader,
// unless signal.Notify has taken it (os/signal, "SIGPIPE").
var brokenPipe = []os.Signal{syscall.SIGPIPE}
