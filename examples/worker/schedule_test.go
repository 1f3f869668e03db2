package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNextTick(t *testing.T) {
	tests := []struct {
		name            string
		last, now, want string
		every           time.Duration
	}{
		{"still to come", "10:00:00", "10:00:00.3", "10:00:01", time.Second},
		{"due this moment", "10:00:00", "10:00:01", "10:00:01", time.Second},
		{"late", "10:00:00", "10:00:01.9", "10:00:01", time.Second},
		{"one was missed", "10:00:00", "10:00:02.1", "10:00:02", time.Second},
		{"many were missed", "10:00:00", "14:30:15", "14:30:00", time.Minute},
		{"the clock was set back", "10:00:00", "09:00:00", "10:01:00", time.Minute},
		{"the interval was shorter before", "10:00:59", "10:00:59.5", "10:01:00", time.Minute},
		{"the interval was longer before", "10:00:00", "10:00:07", "10:00:07", time.Second},
		{"an interval that does not divide the day", "10:00:00", "10:00:03", "10:00:07", 7 * time.Second},
		{"midnight in UTC", "10:00:00", "11:00:00", "24:00:00", 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := nextTick(at(t, tt.last), at(t, tt.now), tt.every)
			assert.Equal(t, at(t, tt.want), got)
		})
	}
}

// at returns a time of one day; "24:00:00" is the end of it.
func at(t *testing.T, clock string) time.Time {
	t.Helper()
	day := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	if clock == "24:00:00" {
		return day.AddDate(0, 0, 1)
	}
	d, err := time.Parse("15:04:05", clock)
	require.NoError(t, err)
	return day.Add(time.Duration(d.Hour())*time.Hour + time.Duration(d.Minute())*time.Minute +
		time.Duration(d.Second())*time.Second + time.Duration(d.Nanosecond()))
}

// Wherever the clock goes, no tick comes twice, and each lies on the grid.
func FuzzNextTick(f *testing.F) {
	f.Add(int64(1_764_000_000_123), int64(1_764_000_000_999), int64(1000))
	f.Add(int64(1_764_000_000_000), int64(0), int64(60_000))
	f.Fuzz(func(t *testing.T, last, now, every int64) {
		const century = 100 * 365 * 24 * 3600 * 1000
		if min(last, now) < 0 || max(last, now) > century || every < 10 || every > 30*24*3600*1000 {
			t.Skip()
		}
		interval := time.Duration(every) * time.Millisecond
		l, n := time.UnixMilli(last).UTC(), time.UnixMilli(now).UTC()
		got := nextTick(l, n, interval)
		assert.True(t, got.After(l), "%v is not after the last tick %v", got, l)
		assert.Equal(t, got, got.Truncate(interval), "on the grid")
		assert.True(t, !got.Before(n.Truncate(interval)), "%v: there is a newer tick due at %v", got, n)
		newer := l
		if n.After(l) {
			newer = n
		}
		assert.True(t, got.Sub(newer) <= interval, "%v waits longer than an interval", got)
	})
}
