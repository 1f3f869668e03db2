// Package k8ssignals moves from the SetupSignalHandler of k8s.io/apiserver and controller-runtime
// to package signals.
package k8ssignals

import (
	"context"

	ctrlsignals "sigs.k8s.io/controller-runtime/pkg/manager/signals"
)

func before(run func(context.Context) error) error {
	ctx := ctrlsignals.SetupSignalHandler()
	return run(ctx) // nil, also if a signal ended it: main cannot tell
}
