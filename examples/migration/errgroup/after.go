package errgroup

import (
	"context"

	"github.com/gracekit/gracekit/concurrent"
)

func after(ctx context.Context, names []string, count func(context.Context, string) (int, error)) ([]int, error) {
	return concurrent.Map(ctx, names, count, concurrent.Limit(8))
}
