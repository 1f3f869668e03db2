package errgroup

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/concurrent"
)

type counter func(ctx context.Context, names []string, count func(context.Context, string) (int, error)) ([]int, error)

func TestTheSameResults(t *testing.T) {
	for name, f := range map[string]counter{"before": before, "after": after} {
		t.Run(name, func(t *testing.T) {
			got, err := f(t.Context(), []string{"a", "bb", "ccc"}, func(_ context.Context, name string) (int, error) { return len(name), nil })
			require.NoError(t, err)
			assert.Equal(t, []int{1, 2, 3}, got)
		})
	}
}

func TestTheSameError(t *testing.T) {
	boom := errors.New("boom")
	for name, f := range map[string]counter{"before": before, "after": after} {
		t.Run(name, func(t *testing.T) {
			_, err := f(t.Context(), []string{"a", "bb", "ccc"}, func(_ context.Context, name string) (int, error) {
				if name == "bb" {
					return 0, boom
				}
				return len(name), nil
			})
			require.ErrorIs(t, err, boom)
			var item *concurrent.ItemError
			require.Equal(t, name == "after", errors.As(err, &item))
			if item != nil {
				assert.Equal(t, 1, item.Index)
			}
		})
	}
}
