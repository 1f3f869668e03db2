package client

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/grpcserver/demo"
)

const (
	firstPause = 20 * time.Millisecond
	maxPause   = 2 * time.Second
)

// resume calls attempt until it has come to its end, or has failed in a way that another attempt
// would not mend. Each attempt goes on where the one before has come to, and returns whether it has
// come further. resumed hears of each that is to be followed by another one.
//
// grpc's own retryPolicy cannot do this: it ends with the first message of the server.
func resume(ctx context.Context, attempt func(context.Context) (progress bool, err error), resumed func(error)) error {
	pause := firstPause
	for {
		progress, err := attempt(ctx)
		if err == nil || status.Code(err) != codes.Unavailable {
			return err
		}
		// A server that has to stop says so. Any other end may be a failure that the next attempt
		// meets again, so the pauses grow.
		if progress || isStopping(err) {
			pause = firstPause
		}
		resumed(err)
		select {
		case <-time.After(pause/2 + rand.N(pause)): // not all clients of a server at once
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
		pause = min(2*pause, maxPause)
	}
}

// isStopping reports whether a stream has ended because its server stops.
func isStopping(err error) bool {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == demo.ReasonStopping &&
			info.GetDomain() == demo.Demo_ServiceDesc.ServiceName {
			return true
		}
	}
	return false
}
