//go:build !unix

package signals

import "os"

// uncatchable are the signals that no process can catch.
var uncatchable = []os.Signal{os.Kill}

func ignoreBrokenPipe() {}
