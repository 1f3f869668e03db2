package signals

import (
	"fmt"
	"os"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// exit is what forces unless OnForce replaces it. Standard error may be a pipe that is full, or
// that has no reader any more, just when a stop hangs. That holds the exit up for a second at most.
func exit(sig os.Signal, waiting func() string) {
	time.AfterFunc(time.Second, func() { os.Exit(1) })
	register(make(chan os.Signal, 1), brokenPipe) // with a Source it is not taken yet
	line := fmt.Sprintf("received %v while shutting down: exiting at once", sig)
	if text := waiting(); text != "" {
		line += "; " + text
	}
	fmt.Fprintln(os.Stderr, oneline.Escape(line))
	os.Exit(1)
}
