//go:build !unix

package signals

import "os"

// uncatchable are the signals that no process can catch.
var uncatchable = []os.Signal{os.Kill}

// brokenPipe is empty: elsewhere a write without a reader is an error and no more.
var brokenPipe []os.Signal
