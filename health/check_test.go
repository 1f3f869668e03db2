package health_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/health"
)

func TestNewReportsEveryProblem(t *testing.T) {
	ok := func(context.Context) error { return nil }
	r, err := health.New(
		health.Check{Name: "db", Probe: ok},
		health.Check{Name: "db", Probe: ok},
		health.Check{Name: "a/b", Probe: ok},
		health.Check{Name: "no-probe"},
		health.Check{Name: "odd", Probe: ok, Kind: 64, Timeout: -1, Period: -2, Grace: -3, Failures: -4,
			Successes: -5},
	)
	assert.Nil(t, r)
	assert.ErrorIs(t, err, health.ErrDuplicate)
	assert.ErrorIs(t, err, health.ErrInvalidName)
	assert.EqualError(t, err, `health: two checks of the same name: "db"
health: invalid name of a check: "a/b": expected 1 to 64 of A-Z a-z 0-9 . _ -
health: check "no-probe": Probe is nil
health: check "odd": Kind Kind(0x40): expected Live, Ready, Startup or several of them
health: check "odd": Timeout -1ns: must not be negative
health: check "odd": Period -2ns: must not be negative, except OnDemand
health: check "odd": Grace -3ns: must not be negative
health: check "odd": Failures -4: must not be negative
health: check "odd": Successes -5: must not be negative`)
}

func TestNewNames(t *testing.T) {
	tests := []struct {
		name  string
		valid bool
	}{
		{"mysql", true}, {"a.b_c-D9", true}, {"...", true}, {string(make64()), true},
		{"", false}, {".", false}, {"..", false}, {"a b", false}, {"a,b", false}, {"a%2f", false},
		{"é", false}, {"a?", false},
		{string(make64()) + "x", false}, {"<b>", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := health.New(health.Check{Name: tt.name, Probe: new(switchable).probe})
			if tt.valid {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, health.ErrInvalidName)
			}
		})
	}
}

func make64() []byte {
	b := make([]byte, 64)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

func TestKindAndStateText(t *testing.T) {
	assert.Equal(t, "live", health.Live.String())
	assert.Equal(t, "ready|startup", (health.Startup | health.Ready).String())
	assert.Equal(t, "live|Kind(0x80)", (health.Live | 128).String())
	assert.Equal(t, "Kind(0x0)", health.Kind(0).String())
	assert.Equal(t, "pending up down draining State(4)",
		health.Pending.String()+" "+health.Up.String()+" "+
			health.Down.String()+" "+health.Draining.String()+" "+health.State(4).String())
	text, err := health.Live.MarshalText()
	assert.Equal(t, "live", string(text))
	assert.NoError(t, err)
}
