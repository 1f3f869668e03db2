package concurrent_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gracekit/gracekit/concurrent"
)

// FuzzErrgroup compares Map with what one would write with errgroup and its SetLimit: the results
// are the same, and so is the first error. Item i takes a time that no other item takes, so that no
// two of them ever end at the same moment.
func FuzzErrgroup(f *testing.F) {
	f.Add(uint64(1), uint8(10), uint8(3), uint8(40), uint8(0))
	f.Add(uint64(2), uint8(20), uint8(1), uint8(10), uint8(3))
	f.Add(uint64(3), uint8(24), uint8(7), uint8(0), uint8(0))
	f.Add(uint64(4), uint8(1), uint8(1), uint8(255), uint8(1))
	f.Add(uint64(5), uint8(0), uint8(5), uint8(0), uint8(0))
	f.Add(uint64(6), uint8(24), uint8(200), uint8(128), uint8(90))
	f.Fuzz(func(t *testing.T, seed uint64, n, limit, failing, cancelAt uint8) {
		p := newPlan(seed, n, limit, cancelAt, 0, failing, 0)
		p.limit = max(1, p.limit)
		synctest.Test(t, func(t *testing.T) {
			got, err := p.within(t.Context(), func(ctx context.Context) ([]int, error) {
				return concurrent.Map(ctx, numbers(len(p.items)), p.run, concurrent.Limit(p.limit))
			})
			want, wantErr := p.within(t.Context(), p.withErrgroup)

			if !slices.Equal(got, want) || (err == nil) != (wantErr == nil) {
				t.Errorf("got %v, %v, want %v, %v", got, err, want, wantErr)
			}
			if item, ok := errors.AsType[*concurrent.ItemError](err); ok && item.Err != wantErr {
				t.Errorf("got first error %v, want %v", err, wantErr)
			} else if err != nil && !ok && !errors.Is(err, errParent) {
				t.Errorf("got %v, want %v", err, errParent)
			}
		})
	})
}

// within calls f with a context that ends as planned.
func (p plan) within(ctx context.Context, f func(context.Context) ([]int, error)) ([]int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if p.cancelAt != 0 {
		defer time.AfterFunc(p.cancelAt, func() { cancel(errParent) }).Stop()
	}
	return f(ctx)
}

// withErrgroup is what Map replaces, with the check of the context that its users forget.
func (p plan) withErrgroup(ctx context.Context) ([]int, error) {
	results := make([]int, len(p.items))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.limit)
	for i := range p.items {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			results[i], err = p.run(ctx, i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}
