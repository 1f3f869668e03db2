package inorder_test

import (
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/inorder"
)

func TestQueueKeepsTheOrder(t *testing.T) {
	q := inorder.Queue{Limit: 1000}
	var got []int
	for i := range 1000 {
		q.Add(func() { got = append(got, i) })
	}
	require.True(t, q.Close(time.Minute))
	assert.Len(t, got, 1000)
	assert.True(t, slices.IsSorted(got))
}

// Whatever a function does, those after it are called.
func TestQueueGoesOn(t *testing.T) {
	var failed []error
	q := inorder.Queue{Limit: 10, Fail: func(err error) { failed = append(failed, err) }}
	called := 0
	q.Add(func() { panic("boom") })
	q.Add(func() { called++ })
	q.Add(runtime.Goexit)
	q.Add(func() { called++ })
	require.True(t, q.Close(time.Minute))
	assert.Equal(t, 2, called)
	require.Len(t, failed, 2)
	assert.EqualError(t, failed[0], "panic: boom")
	assert.Equal(t, guard.ErrExited, failed[1])
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := inorder.Queue{Limit: 3}
		release := make(chan struct{})
		q.Add(func() { <-release })
		synctest.Wait() // it is running, so it does not wait any more
		var got []int
		for i := range 10 {
			q.Add(func() { got = append(got, i) })
		}
		assert.Equal(t, 7, q.Dropped())
		close(release)
		require.True(t, q.Close(time.Minute))
		assert.Equal(t, []int{7, 8, 9}, got, "the oldest go first")
	})
}

func TestCloseDoesNotWaitForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := inorder.Queue{Limit: 10}
		release := make(chan struct{})
		called := false
		q.Add(func() { <-release })
		q.Add(func() { called = true })
		begin := time.Now()
		assert.False(t, q.Close(time.Second))
		assert.Equal(t, time.Second, time.Since(begin))
		close(release)
		q.Add(func() { called = true })
		synctest.Wait()
		assert.False(t, called, "after Close nothing is called")
	})
}

func TestCloseOfAnUnusedQueue(t *testing.T) {
	var q inorder.Queue
	assert.True(t, q.Close(time.Hour))
}

// What is added while Close is waiting is waited for, too, or was too late.
func TestCloseBesideAdd(t *testing.T) {
	for range 2000 {
		q := inorder.Queue{Limit: 10}
		q.Add(func() {})
		go q.Add(func() {})
		require.True(t, q.Close(time.Minute))
	}
}
