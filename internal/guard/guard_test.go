package guard_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"runtime/pprof"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/guard"
)

type badString struct{}

func (badString) String() string { panic("no text") }

func TestCatch(t *testing.T) {
	errValue := errors.New("value")
	tests := []struct {
		name   string
		fn     func()
		value  any
		text   string
		unwrap error
	}{
		{"a string", func() { panic("boom") }, "boom", "boom", nil},
		{"an error", func() { panic(errValue) }, errValue, "value", errValue},
		{"a value whose String panics", func() { panic(badString{}) }, badString{}, "%!v(PANIC=String method: no text)", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := guard.Catch(tt.fn)
			require.NotNil(t, p)
			assert.Equal(t, tt.value, p.Value)
			assert.Equal(t, "panic: "+tt.text, p.Error())
			assert.Equal(t, tt.unwrap, p.Unwrap())
			assert.Contains(t, string(p.Stack), "TestCatch")
		})
	}
	assert.Nil(t, guard.Catch(func() {}))
}

func TestGo(t *testing.T) {
	failed := errors.New("failed")
	tests := []struct {
		name string
		fn   func() error
		want error
	}{
		{"success", func() error { return nil }, nil},
		{"error", func() error { return failed }, failed},
		{"panic", func() error { panic(failed) }, failed},
		{"Goexit", func() error { runtime.Goexit(); return nil }, guard.ErrExited},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			call := guard.Go(t.Context(), "test", tt.fn)
			<-call.Done()
			assert.ErrorIs(t, call.Err(), tt.want)
		})
	}
}

type errorFunc func() string

func (f errorFunc) Error() string { return f() }

type selfish struct{}

func (e selfish) Error() string { panic(e) }

func TestText(t *testing.T) {
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"nil", nil, "<nil>"},
		{"string", "boom", "boom"},
		{"number", 42, "42"},
		{"error", errors.New("failed"), "failed"},
		{"Error panics", errorFunc(func() string { panic("no text") }),
			"guard_test.errorFunc, whose text is not available: it panics with a string"},
		{"Error panics with itself", selfish{},
			"guard_test.selfish, whose text is not available: it panics with a guard_test.selfish"},
		{"Error exits", errorFunc(func() string { runtime.Goexit(); return "" }),
			"guard_test.errorFunc, whose text is not available: it has called runtime.Goexit"},
		{"String panics", badString{}, "%!v(PANIC=String method: no text)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, guard.Text(tt.v)) })
	}
}

func TestTextThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan string)
		defer close(hang)
		begin := time.Now()
		text := guard.Text(errorFunc(func() string { return <-hang }))
		assert.Equal(t, "guard_test.errorFunc, whose text is not available: it has not returned", text)
		assert.Equal(t, guard.Moment, time.Since(begin))
	})
}

func TestWaitGivesNotice(t *testing.T) {
	tests := []struct {
		name  string
		takes time.Duration // after the end of the context
		want  bool
	}{
		{"obeys", guard.Notice / 2, true},
		{"does not", 2 * guard.Notice, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begin := time.Now()
				call := guard.Go(ctx, "test", func() error { time.Sleep(time.Second + tt.takes); return nil })
				assert.Equal(t, tt.want, call.Wait(ctx, guard.Notice))
				assert.Equal(t, time.Second+min(tt.takes, guard.Notice), time.Since(begin))
				<-call.Done()
			})
		})
	}
}

func TestLabelNamesWhoHangs(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	running := make(chan struct{})
	guard.Go(t.Context(), "shutdown/mysql", func() error { close(running); <-hang; return nil })
	<-running
	var profile bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	assert.Contains(t, profile.String(), `"gracekit":"shutdown/mysql"`)
}

// Package net's timer for the deadline of a context may fire before the one of the context.
func TestEndedAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 { // timers of one moment fire in any order
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			assert.False(t, guard.Ended(ctx))
			time.Sleep(time.Second)
			assert.True(t, guard.Ended(ctx))
			cancel()
		}
		past, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Second))
		defer cancel()
		begin := time.Now()
		assert.False(t, guard.Ended(endless{past}), "a context that ignores its deadline")
		assert.Zero(t, time.Since(begin), "before the deadline")
		time.Sleep(time.Second)
		assert.False(t, guard.Ended(endless{past}), "a context that ignores its deadline")
		assert.Equal(t, time.Second+guard.Notice, time.Since(begin))
		cancel()
		assert.True(t, guard.Ended(past))
		assert.False(t, guard.Ended(context.Background()))
	})
}

// endless has a deadline, but does not end at it.
type endless struct{ context.Context }

func (endless) Done() <-chan struct{} { return nil }
func (endless) Err() error            { return nil }
