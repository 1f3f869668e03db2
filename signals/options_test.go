package signals_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/signals"
)

func TestNonsensePanicsWithItsName(t *testing.T) {
	ctx := t.Context()
	fn := func(context.Context, os.Signal) {}
	source := make(chan os.Signal)
	tests := map[string]func(){
		"Signals: at least one signal is needed":            func() { signals.Signals() },
		"Signals: nil signal":                               func() { signals.Signals(nil) },
		"Signals(killed): no process can catch this signal": func() { signals.Signals(os.Kill) },

		"OnForce(nil): a function is needed":     func() { signals.OnForce(nil) },
		"ForceWindow(-1s): must not be negative": func() { signals.ForceWindow(-time.Second) },
		"Source(nil): a channel is needed":       func() { signals.Source(nil) },

		"Handle: fn must not be nil":            func() { signals.Handle(ctx, nil, os.Interrupt) },
		"Handle: at least one signal is needed": func() { signals.Handle(ctx, fn) },
		"Handle: nil signal":                    func() { signals.Handle(ctx, fn, nil) },
		"Handle(killed): no process can catch this signal": func() {
			signals.Handle(ctx, fn, os.Kill)
		},
		"HandleFrom: fn must not be nil": func() {
			signals.HandleFrom(ctx, source, nil, os.Interrupt)
		},
		"HandleFrom: at least one signal is needed": func() {
			signals.HandleFrom(ctx, source, fn)
		},
	}
	for want, call := range tests {
		t.Run(want, func(t *testing.T) { assert.PanicsWithValue(t, "signals: "+want, call) })
	}
}
