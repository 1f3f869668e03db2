package main

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The first tick of a new process covers what the last one has left undone.
func TestRunnerGoesOnWhereTheLastProcessEnded(t *testing.T) {
	tests := []struct {
		name        string
		end         func(*journal, tick) error
		wantSince   string
		interrupted bool
	}{
		{"done", func(j *journal, last tick) error { return j.end(t.Context(), last, nil) }, "10:00:05", false},
		{"failed", func(j *journal, last tick) error { return j.end(t.Context(), last, errors.New("no luck")) }, "10:00:02", false},
		{"not finished", func(*journal, tick) error { return nil }, "10:00:02", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := reopen(t, nil, newFile(t))
			last := tick{job: "collect", scheduled: at(t, "10:00:05"), since: at(t, "10:00:02"), attempt: 1}
			require.NoError(t, j.begin(t.Context(), last))
			require.NoError(t, tt.end(j, last))

			r, err := newRunner(job{name: "collect", every: time.Second}, time.Minute, j, slog.New(slog.DiscardHandler), make(chan struct{}))
			require.NoError(t, err)
			if tt.interrupted {
				assert.Equal(t, &last, r.interrupted)
			} else {
				assert.Nil(t, r.interrupted)
			}
			next, ok := r.wait()
			require.True(t, ok)
			assert.Equal(t, at(t, tt.wantSince), next.since)
			assert.True(t, next.scheduled.After(last.scheduled))
		})
	}
}

func TestRunnerWithoutAPast(t *testing.T) {
	file := newFile(t)
	j := reopen(t, nil, file)
	newCollect := func() *runner {
		r, err := newRunner(job{name: "collect", every: 10 * time.Millisecond}, time.Minute, j, slog.New(slog.DiscardHandler), make(chan struct{}))
		require.NoError(t, err)
		return r
	}
	before := time.Now()
	next, ok := newCollect().wait()
	require.True(t, ok)
	assert.True(t, next.scheduled.After(before), "the first tick is the next one, not one of the past")
	assert.False(t, time.Now().Before(next.scheduled), "it does not begin before it is due")

	// The process ends before it has begun this tick.
	j = reopen(t, j, file)
	again, ok := newCollect().wait()
	require.True(t, ok)
	assert.False(t, again.scheduled.Before(next.scheduled))
	assert.Equal(t, next.since.UTC(), again.since, "what was missed since the first start")
}
