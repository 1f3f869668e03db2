package main

import (
	"context"
	"errors"
	"io"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// observed is a contestant that gives one value after the other.
func observed(name string, values ...float64) contestant {
	return contestant{name: name, sample: func(context.Context) (float64, error) {
		value := values[0]
		values = values[1:]
		return value, nil
	}}
}

func measureAll(t *testing.T, count int, contestants ...contestant) result {
	t.Helper()
	cfg := config{count: count, runRegexp: regexp.MustCompile("")}
	r, err := scenario{name: "s", unit: calls, contestants: contestants}.measure(t.Context(), cfg, "p", io.Discard)
	require.NoError(t, err)
	require.Len(t, r.Rows, len(contestants))
	return r
}

func TestMedianAndRatio(t *testing.T) {
	aside := observed("aside", 1, 1, 1)
	aside.unranked = "it does less"
	r := measureAll(t, 3, observed("a", 30, 10, 90), observed("b", 10, 12, 9), aside, contestant{name: "figure", figure: 5})
	assert.Equal(t, new(30.0), r.Rows[0].Value)
	assert.Equal(t, new(3.0), r.Rows[0].Ratio)
	assert.Equal(t, new(2.0), r.Rows[0].Spread)
	assert.Equal(t, new(10.0), r.Rows[1].Value)
	assert.Equal(t, new(1.0), r.Rows[1].Ratio)
	assert.Equal(t, new(1.0), r.Rows[2].Value)
	assert.Nil(t, r.Rows[2].Ratio, "it is not compared")
	assert.Equal(t, new(0.5), r.Rows[3].Ratio, "a figure is compared, but never the best")
	assert.False(t, r.Rows[3].Measured)
}

func TestMedianOfAnEvenNumber(t *testing.T) {
	r := measureAll(t, 2, observed("a", 10, 20))
	assert.Equal(t, new(15.0), r.Rows[0].Value)
}

func TestNothingIsAMultipleOfZero(t *testing.T) {
	r := measureAll(t, 1, observed("a", 0), observed("b", 7))
	assert.Equal(t, new(1.0), r.Rows[0].Ratio)
	assert.Nil(t, r.Rows[1].Ratio)
}

func TestAWrongResultIsShownAndNotMeasured(t *testing.T) {
	wrong := observed("wrong")
	wrong.check = func() error { return errors.New("got 3, want 4") }
	late := contestant{name: "late", sample: func(context.Context) (float64, error) { return 0, errors.New("late") }}
	r := measureAll(t, 2, wrong, late, observed("right", 1, 1))
	assert.Nil(t, r.Rows[0].Value)
	assert.Equal(t, "FAILED: got 3, want 4", r.Rows[0].remarks())
	assert.Nil(t, r.Rows[1].Value)
	assert.Equal(t, new(1.0), r.Rows[2].Ratio)

	err := report{Tables: []table{{Package: "p", Scenarios: []result{r}}}}.failed()
	assert.EqualError(t, err, "p/s/wrong: got 3, want 4\np/s/late: late")
}

func TestSkipped(t *testing.T) {
	r := measureAll(t, 1, contestant{name: "a", skip: "not here"}, observed("b", 1))
	assert.Nil(t, r.Rows[0].Value)
	assert.Equal(t, "skipped: not here", r.Rows[0].remarks())
}

func TestMeasureEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	c := contestant{name: "a", sample: func(context.Context) (float64, error) { cancel(why); return 1, nil }}
	_, err := scenario{contestants: []contestant{c}}.measure(ctx, config{count: 1000}, "p", io.Discard)
	assert.Equal(t, why, err)
}

func TestFormatNanoseconds(t *testing.T) {
	for ns, want := range map[float64]string{
		0: "0.00ns", 0.5: "0.50ns", 1: "1.00ns", 12.34: "12.3ns", 999.4: "999ns", 999.6: "1.00µs", 1234: "1.23µs", 999_600: "1.00ms",
		float64(50 * time.Millisecond): "50.0ms", float64(90 * time.Second): "90.0s",
	} {
		assert.Equal(t, want, formatNanoseconds(ns))
	}
}

// All contestants of a round wait for the same start-up, and a loop never meets it in the right
// moment by its design.
func TestSpread(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for round := range 100 {
		d := spread(400*time.Millisecond, round)
		assert.Equal(t, d, spread(400*time.Millisecond, round))
		assert.GreaterOrEqual(t, d, time.Duration(0))
		assert.Less(t, d, 100*time.Millisecond)
		seen[d/(10*time.Millisecond)] = true
	}
	assert.Len(t, seen, 10, "they are not spread evenly")
	assert.Zero(t, spread(0, 7))
}
