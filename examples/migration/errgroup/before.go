// Package errgroup moves from golang.org/x/sync/errgroup with a limit and an index to package
// concurrent.
package errgroup

import (
	"context"

	"golang.org/x/sync/errgroup"
)

func before(ctx context.Context, names []string, count func(context.Context, string) (int, error)) ([]int, error) {
	counts := make([]int, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, name := range names {
		g.Go(func() error {
			if err := ctx.Err(); err != nil { // else all the others still run after an error
				return err
			}
			n, err := count(ctx, name)
			counts[i] = n
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err // of which name?
	}
	return counts, nil
}
