package k8ssignals

import (
	"context"
	"errors"

	"github.com/gracekit/gracekit/signals"
)

func after(run func(context.Context) error) error {
	ctx := signals.SetupSignalContext()
	return run(ctx)
}

// afterExitCode does what a shell does: 143 after SIGTERM, 130 after Ctrl-C.
func afterExitCode(ctx context.Context) int {
	if stopped, ok := errors.AsType[*signals.Error](context.Cause(ctx)); ok {
		return stopped.ExitCode()
	}
	return 0
}
