package concurrent_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gracekit/gracekit/concurrent"
)

func TestAbandon(t *testing.T) {
	cause := errors.New("client has gone")
	for _, c := range []struct {
		name string
		want error
	}{
		{"error", errItem},
		{"timeout", concurrent.ErrTimeout},
		{"cancelled", cause},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if c.want == cause {
					time.AfterFunc(time.Second, func() { cancel(cause) })
				}
				var calls, ended atomic.Int64
				began := time.Now()
				got, err := concurrent.Map(ctx, numbers(100),
					func(_ context.Context, n int) (int, error) {
						calls.Add(1)
						defer ended.Add(1)
						if n == 2 && c.want == errItem {
							time.Sleep(time.Second)
							return 0, errItem
						}
						time.Sleep(time.Hour) // deaf
						return n, nil
					}, concurrent.Abandon(), concurrent.Limit(4),
					concurrent.Timeout(time.Second+b2d(c.want != concurrent.ErrTimeout)))
				if !errors.Is(err, c.want) || got != nil || time.Since(began) != time.Second {
					t.Errorf("got %v, %v after %v, want nil, %v after 1s", got, err,
						time.Since(began), c.want)
				}
				time.Sleep(2 * time.Hour)
				if calls.Load() != 4 || ended.Load() != 4 {
					t.Errorf("got %d calls of which %d ended, want 4 and 4", calls.Load(),
						ended.Load())
				}
			})
		})
	}
}

// The error that is returned stays as it is when stragglers fail later.
func TestAbandonKeepGoingLateErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := concurrent.Map(t.Context(), numbers(4),
			func(_ context.Context, n int) (int, error) {
				if n == 3 {
					time.Sleep(time.Minute) // deaf
				}
				return 0, errItem
			}, concurrent.Abandon(), concurrent.KeepGoing(), concurrent.Timeout(time.Second))
		want := "concurrent: timed out\nitem 0: item failed\nitem 1: item failed\nitem 2: item failed\n" +
			"item 3: abandoned: concurrent: timed out"
		if err.Error() != want {
			t.Errorf("got text\n%v\nwant\n%v", err, want)
		}
		time.Sleep(time.Hour)
		if err.Error() != want {
			t.Errorf("later got text\n%v\nwant\n%v", err, want)
		}
	})
}

// Success and the end of the context at the same moment: one of the two, whole.
func TestAbandonSuccessAtTheEnd(t *testing.T) {
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		got, err := concurrent.Map(ctx, numbers(1), func(context.Context, int) (int, error) {
			cancel()
			return 1, nil
		}, concurrent.Abandon())
		if success := err == nil && slices.Equal(got, []int{1}); !success &&
			(got != nil || err != context.Canceled) {
			t.Errorf("got %v, %v, want [1], nil or nil, %v", got, err, context.Canceled)
		}
	}
}

// With KeepGoing one item that ignores its time-out does not end the others.
func TestAbandonGivesUpOnASingleItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := func(_ context.Context, n int) (int, error) {
			if n == 1 {
				time.Sleep(time.Hour)
			}
			return 2 * n, nil
		}
		opts := []concurrent.Option{concurrent.ItemTimeout(time.Second), concurrent.KeepGoing(),
			concurrent.Abandon(), concurrent.Limit(2)}
		began := time.Now()
		got, err := concurrent.Map(t.Context(), numbers(5), deaf, opts...)
		if want := "item 1: abandoned: concurrent: timed out"; err == nil || err.Error() != want ||
			!errors.Is(err, concurrent.ErrTimeout) {
			t.Errorf("got %v, want %q", err, want)
		}
		if want := []int{0, 0, 4, 6, 8}; !slices.Equal(got, want) ||
			time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want %v after 1s", got, time.Since(began), want)
		}
		var streamed []int
		for n, err := range concurrent.Stream(t.Context(), slices.Values(numbers(5)), deaf,
			opts...) {
			if (err != nil) != (len(streamed) == 1) || err != nil &&
				!errors.Is(err, concurrent.ErrTimeout) {
				t.Errorf("got %v at %d", err, len(streamed))
			}
			streamed = append(streamed, n)
		}
		if !slices.Equal(streamed, got) {
			t.Errorf("got %v streamed, want %v", streamed, got)
		}
		time.Sleep(2 * time.Hour)
	})
}

// The caller cannot leave a function that it runs itself, so with Abandon it runs none.
func TestAbandonSingleItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := concurrent.ForEach(t.Context(), numbers(1), func(context.Context, int) error {
			time.Sleep(time.Hour)
			return nil
		}, concurrent.Abandon(), concurrent.Timeout(time.Second), concurrent.Limit(1))
		if err != concurrent.ErrTimeout {
			t.Errorf("got %v, want %v", err, concurrent.ErrTimeout)
		}
		time.Sleep(time.Hour)
	})
}

// What Abandon left running shares nothing with what the caller got or handed in. The functions
// really ignore their context, and the race detector looks on.
func TestAbandonTouchesNothing(t *testing.T) {
	for _, keep := range []concurrent.Option{nil, concurrent.KeepGoing()} {
		for range 200 {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				items := numbers(64)
				ctx, cancel := context.WithCancel(t.Context())
				go func() { runtime.Gosched(); cancel() }()
				got, err := concurrent.Map(ctx, items,
					func(_ context.Context, i int) (*int, error) {
						if i%3 == 0 {
							<-release
						}
						return &i, nil
					}, concurrent.Abandon(), concurrent.Limit(8), keep)
				if err == nil {
					t.Error("the context is over and some items never returned, but no error")
				}
				close(release)
				for i := range items { // races with a worker that still reads its item
					items[i] = -1
				}
				for i := range got { // races with a straggler that still writes its result
					if got[i] != nil && *got[i] != i {
						t.Errorf("result %d is %d", i, *got[i])
					}
					got[i] = nil
				}
				synctest.Wait()
				for i := range got {
					if got[i] != nil {
						t.Fatalf("result %d was written after the return", i)
					}
				}
			})
		}
	}
}

// What a straggler does after the call came back goes unnoticed.
func TestStragglerPanicsLate(t *testing.T) {
	for _, c := range calls {
		if !strings.Contains(c.name, "abandon") {
			continue
		}
		for _, end := range []func(){func() { explode("late") }, runtime.Goexit} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := c.run(ctx, func(context.Context, int) error {
						time.Sleep(time.Minute)
						end()
						return nil
					})
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
					}
					time.Sleep(time.Hour)
				})
			})
		}
	}
}

// Whether fn or the end of its context is seen first is chance; the error is the same.
func TestItemTimeoutWithAbandonIsAlwaysErrTimeout(t *testing.T) {
	for _, d := range []time.Duration{time.Nanosecond, time.Millisecond} {
		for range 20 {
			err := concurrent.ForEach(t.Context(), numbers(64), func(ctx context.Context, _ int) error {
				<-ctx.Done()
				return ctx.Err()
			}, concurrent.ItemTimeout(d), concurrent.Abandon(), concurrent.KeepGoing(), concurrent.Limit(64))
			for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
				if !errors.Is(err, concurrent.ErrTimeout) {
					t.Fatalf("%v: got %v, want ErrTimeout in it", d, err)
				}
			}
		}
	}
}
