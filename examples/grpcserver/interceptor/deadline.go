package interceptor

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// Deadline bounds unary calls: a client that sets no deadline, or one far away, gets the status
// DeadlineExceeded after this time, if the handler minds its context. A shorter deadline of the
// client's counts. 0 is no limit. Streams have no such bound, because a long one is nothing wrong.
func Deadline(longest time.Duration) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if longest > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, longest)
			defer cancel()
		}
		return handler(ctx, req)
	}
}
