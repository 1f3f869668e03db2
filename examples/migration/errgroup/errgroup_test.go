//go:build unix

package errgroup

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/concurrent"
	"github.com/gracekit/gracekit/examples/migration/internal/process"
)

type counter func(ctx context.Context, names []string, count func(context.Context, string) (int, error)) ([]int, error)

func TestMain(m *testing.M) {
	boom := func(context.Context, string) (int, error) { panic("boom") }
	process.Main(m, map[string]func(){
		"before": func() { recovering(func() { _, _ = before(context.Background(), []string{"a"}, boom) }) },
		"after":  func() { recovering(func() { _, _ = after(context.Background(), []string{"a"}, boom) }) },
	})
}

// recovering is what net/http does around a handler; the process goes on.
func recovering(f func()) {
	defer func() {
		if recover() != nil {
			fmt.Println("recovered")
		}
		process.AwaitGoOn()
	}()
	f()
}

func TestPanicBefore(t *testing.T) {
	stdout, stderr, status := process.Start(t, "before", "").Wait()
	assert.Equal(t, 2, status)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "panic: boom")
}

func TestPanicAfter(t *testing.T) {
	p := process.Start(t, "after", "")
	assert.Equal(t, "recovered", p.Line())
	p.GoOn()
	_, stderr, status := p.Wait()
	assert.Zero(t, status)
	assert.Empty(t, stderr)
}

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
			assert.Equal(t, name == "before", err == boom, "unwrapped") //nolint:errorlint // that is the difference
			var item *concurrent.ItemError
			require.Equal(t, name == "after", errors.As(err, &item))
			if item != nil {
				assert.Equal(t, 1, item.Index)
			}
		})
	}
}

// The calls that an error comes too late for: with the check in before both stop, and the first
// error is the one that counts.
func TestTheSameEndAfterAnError(t *testing.T) {
	boom := errors.New("boom")
	for name, f := range map[string]counter{"before": before, "after": after} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			_, err := f(t.Context(), make([]string, 1_000), func(ctx context.Context, _ string) (int, error) {
				if calls.Add(1) == 8 {
					return 0, boom
				}
				<-ctx.Done()
				return 0, ctx.Err()
			})
			require.ErrorIs(t, err, boom)
			assert.EqualValues(t, 8, calls.Load())
		})
	}
}

func TestCauseOfTheCaller(t *testing.T) {
	cause := errors.New("the client has gone")
	for name, f := range map[string]counter{"before": before, "after": after} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			_, err := f(ctx, []string{"a", "bb"}, func(ctx context.Context, _ string) (int, error) {
				cancel(cause)
				<-ctx.Done()
				return 0, ctx.Err()
			})
			if name == "before" {
				assert.Equal(t, context.Canceled, err)
			} else {
				assert.ErrorIs(t, err, cause)
			}
		})
	}
}
