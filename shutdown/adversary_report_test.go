package shutdown_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// Each callback has one line, whatever it is called and whatever it says, and no terminal is told anything.
func TestAdversaryReportWithHostileText(t *testing.T) {
	hostile := []string{
		"\x1b[2Jclear", "tab\tbed", "\x00nul", "bell\a", "\u2028separator", "\u202eright to left",
		strings.Repeat("very long ", 100), "日本語の名前", "👩‍👩‍👧‍👦", "%s%d%!", "\xff\xfe invalid", " ", "|####|", "\u0085next line", "\v\f",
	}
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		for _, name := range hostile {
			require.NoError(t, gs.AddCallback(shutdown.Callback{Name: name, Phase: 1, Func: func(context.Context) error { time.Sleep(time.Second); return nil }}))
			require.NoError(t, gs.AddCallback(shutdown.Callback{Name: name, Phase: 2, Func: func(context.Context) error {
				return errors.New(name + "\nsecond line\n  ingress  forged  |####| 1s ok")
			}}))
			require.NoError(t, gs.AddManager(&advManager{name: name}))
		}
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "empty error", Phase: 3, Func: func(context.Context) error { return errors.New("") }}))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(errors.New("reason\n\x1b[31mwith\x00 everything"))
		_ = gs.Wait()
		report := gs.Report()
		text := report.String()
		assert.NotContains(t, text, "forged")
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		bars := 0
		for _, line := range lines[1:] {
			if strings.Count(line, "|") >= 2 {
				bars++
			} else {
				t.Errorf("a line without a bar: %q", line)
			}
		}
		assert.Equal(t, len(report.Callbacks), bars, "one line for each callback")

		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).Info("stopped", "report", report)
		var decoded map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &decoded))
		group, ok := decoded["report"].(map[string]any)
		require.True(t, ok, "a group: %v", decoded["report"])
		assert.Contains(t, group, "reason")
		assert.Contains(t, group, "total")
		for _, c := range report.Callbacks {
			assert.Equal(t, slog.KindGroup, report.LogValue().Kind(), c.Name)
		}
		out.Reset()
		slog.New(slog.NewTextHandler(&out, nil)).Info("stopped", "report", report)
		assert.Equal(t, 1, strings.Count(out.String(), "\n"), "one record, one line")
	})
}

// All bars are as wide as each other, and lie where start and duration say.
func TestAdversaryReportBarsOnOneScale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(2 * time.Second))
		sleep := func(d time.Duration) func(context.Context) error {
			return func(context.Context) error { time.Sleep(d); return nil }
		}
		require.NoError(t, gs.AddCallback(
			shutdown.Callback{Name: "a", Phase: 100, Func: sleep(2 * time.Second)},
			shutdown.Callback{Name: "bb", Phase: 200, Func: sleep(4 * time.Second)},
			shutdown.Callback{Name: "instant", Phase: 250, Func: sleep(0)},
			shutdown.Callback{Name: "ccc", Phase: 400, Func: sleep(8 * time.Second)},
		))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		text := gs.Report().String()
		width, next := 0, 0
		for _, line := range strings.Split(text, "\n")[1:] {
			parts := strings.Split(line, "|")
			if len(parts) != 3 {
				continue
			}
			if width == 0 {
				width = len(parts[1])
			}
			assert.Len(t, parts[1], width, "width of %q", line)
			assert.Contains(t, parts[1], "#", "%q is not to be seen", line)
			first, last := strings.Index(parts[1], "#"), strings.LastIndex(parts[1], "#")
			assert.NotContains(t, strings.TrimSpace(parts[1]), " ", "a gap in %q", line)
			assert.InDelta(t, next, first, 1.5, "%q begins where the one before ended", line)
			next = last + 1
		}
		assert.Equal(t, width, next, "the last one ends at the right\n%s", text)
	})
}

// A report that is read while the stop goes on, and one without any length.
func TestAdversaryReportAtAnyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(time.Second))
		read := func() shutdown.Report {
			r := gs.Report()
			_, _, _ = r.String(), r.LogValue(), r.Failed()
			return r
		}
		require.NoError(t, gs.AddCallback(
			shutdown.Callback{Name: "a", Phase: 1, Func: func(context.Context) error { time.Sleep(4 * time.Second); return nil }},
			shutdown.Callback{Name: "b", Phase: 2, Func: func(context.Context) error { return nil }},
		))
		gs.Shutdown(errAdv)
		time.Sleep(500 * time.Millisecond)
		assert.Equal(t, 500*time.Millisecond, read().Total)
		assert.Equal(t, errAdv, read().Reason)
		time.Sleep(time.Second)
		r := read()
		assert.Equal(t, 1500*time.Millisecond, r.Total)
		a := advFind(t, r, "a")
		assert.Equal(t, shutdown.StateRunning, a.State)
		assert.Zero(t, a.Duration)
		assert.False(t, r.Failed())
		assert.Contains(t, r.String(), "running")
		require.NoError(t, gs.Wait())
		total := read().Total
		time.Sleep(time.Hour)
		assert.Equal(t, total, read().Total, "it is over")
	})
	for _, r := range []shutdown.Report{
		{},
		{Total: -time.Second, Callbacks: []shutdown.CallbackReport{{Name: "x", Start: -time.Hour, Duration: time.Hour}}},
		{Total: 1, Callbacks: []shutdown.CallbackReport{{Start: time.Hour, Duration: 1 << 62}}},
		{Total: 1 << 62, Delay: 1 << 62, Linger: 1 << 62, Callbacks: []shutdown.CallbackReport{{Start: 1 << 62, Duration: 1 << 62}}},
		{Callbacks: []shutdown.CallbackReport{{Phase: -5, State: "?", Err: fmt.Errorf("")}}},
	} {
		assert.NotPanics(t, func() { _, _, _ = r.String(), r.LogValue(), r.Failed() }, "%#v", r)
		assert.Less(t, len(r.String()), 10_000)
	}
}

func TestAdversaryErrorTypes(t *testing.T) {
	cause := errors.New("cause")
	p := &shutdown.PanicError{Value: cause, Stack: []byte("the stack")}
	for _, err := range []error{
		&shutdown.CallbackError{Name: "n", Phase: 250, Err: cause},
		&shutdown.ComponentError{Name: "n", Err: cause},
		p,
		&shutdown.CallbackError{Name: "n", Phase: 250, Err: &shutdown.ComponentError{Name: "m", Err: p}},
	} {
		assert.ErrorIs(t, err, cause)
		assert.Contains(t, err.Error(), "cause")
	}
	assert.Equal(t, "panic: cause\n\nthe stack", p.Error())
	assert.Equal(t, "panic: 7\n\ns", (&shutdown.PanicError{Value: 7, Stack: []byte("s")}).Error())
	assert.Nil(t, errors.Unwrap(&shutdown.PanicError{Value: 7}))
	assert.ErrorIs(t, shutdown.ErrTimeout, context.DeadlineExceeded)
	assert.NotErrorIs(t, shutdown.ErrTimeout, context.Canceled)
	assert.NotErrorIs(t, context.DeadlineExceeded, shutdown.ErrTimeout)
	for _, err := range []error{shutdown.ErrTimeout, shutdown.ErrAlreadyStarted, shutdown.ErrShuttingDown} {
		assert.True(t, strings.HasPrefix(err.Error(), "shutdown: "), err)
	}
	for want, phase := range map[string]shutdown.Phase{"ingress": 100, "work": 200, "store": 300, "flush": 400, "phase 250": 250, "phase 1": 1} {
		assert.Equal(t, want, phase.String())
	}
}
