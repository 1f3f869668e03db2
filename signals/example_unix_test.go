//go:build unix

package signals_test

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/gracekit/gracekit/signals"
)

// SIGHUP reloads the configuration. The context is not the one that SIGTERM ends, so that a SIGHUP
// during the shutdown is still no reason to die.
func ExampleHandle() {
	reloaded := make(chan bool)
	stop := signals.Handle(context.Background(), func(context.Context, os.Signal) {
		fmt.Println("reading the configuration again")
		reloaded <- true
	}, syscall.SIGHUP)
	defer stop()

	_ = syscall.Kill(os.Getpid(), syscall.SIGHUP) // as `kill -HUP` does
	<-reloaded
	// Output: reading the configuration again
}
