//go:build !unix

package signals

import "os"

// uncatchable are the signals that no process can catch.
var uncatchable = []os.Signal{os.Kill}

// brokenPipe is empty: without a reader a write only fails.
var brokenPipe []os.Signal
