//go:build unix

package posixsignal

import (
	"os"
	"os/signal"
	"syscall"
)

// uncatchable are the signals that POSIX lets no process catch.
var uncatchable = []os.Signal{syscall.SIGKILL, syscall.SIGSTOP}

// ignoreBrokenPipe keeps a write to a standard error that nobody reads from ending the process by SIGPIPE, which
// is Go's default for it (os/signal, "SIGPIPE").
func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
