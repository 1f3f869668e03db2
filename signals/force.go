package signals

import (
	"fmt"
	"os"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// exit forces unless OnForce replaces it. Just when a stop hangs, standard error may be a full
// pipe, or one without a reader. That delays the exit by a second at most.
func exit(sig os.Signal, waiting func() string) {
	time.AfterFunc(time.Second, func() { os.Exit(1) })
	register(make(chan os.Signal, 1), brokenPipe) // with a Source, it is not taken yet
	line := fmt.Sprintf("received %v while shutting down: exiting at once", sig)
	if text := waiting(); text != "" {
		line += "; " + text
	}
	fmt.Fprintln(os.Stderr, oneline.Escape(line))
	os.Exit(1)
}
