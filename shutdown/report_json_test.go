package shutdown_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// jsonReport is what a reader of the JSON gets.
type jsonReport struct {
	Reason  string
	Manager *string
	Start   time.Time
	TotalMs float64
	Stacks  string
	Steps   []struct {
		Name, Stage, State string
		Phase              int
		StartMs            float64
		DurationMs         float64
		Error              *string
	}
}

func asJSON(t *testing.T, v any) jsonReport {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	assert.NotContains(t, string(b), "{}", "something is lost")
	var r jsonReport
	require.NoError(t, json.Unmarshal(b, &r))
	return r
}

func TestReportAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(1500*ms), shutdown.Grace(10*sec))
		m := &manager{name: "platform"}
		gs.managers(m)
		gs.callback("store", shutdown.PhaseStore, func(context.Context) error {
			time.Sleep(250 * time.Microsecond)
			return errors.New("connection\nlost")
		})
		gs.callback("panics", 350, func(context.Context) error { panic("boom") })
		gs.callbacks(shutdown.Callback{Name: "hangs", Phase: 400, Timeout: sec, Func: hanging(t)})
		gs.start()
		m.request(errTest)

		time.Sleep(sec)
		running := asJSON(t, gs.Report())
		assert.Equal(t, "test: some failure", running.Reason)
		assert.Equal(t, 1000.0, running.TotalMs)
		require.Len(t, running.Steps, 2)
		assert.Equal(t, "delay", running.Steps[1].Stage)
		assert.Equal(t, "running", running.Steps[1].State)

		require.Error(t, gs.Wait())
		final := asJSON(t, gs.Report())
		require.NotNil(t, final.Manager)
		assert.Equal(t, "platform", *final.Manager)
		assert.True(t, gs.Report().Start.Equal(final.Start))
		require.Len(t, final.Steps, len(gs.Report().Steps))
		store := final.Steps[2]
		assert.Equal(t, "store", store.Name)
		assert.Equal(t, 300, store.Phase)
		assert.Equal(t, 1500.0, store.StartMs)
		assert.Equal(t, 0.25, store.DurationMs)
		require.NotNil(t, store.Error)
		assert.Contains(t, *store.Error, "connection\nlost")
		assert.Equal(t, "timeout", final.Steps[4].State)
		assert.Contains(t, final.Stacks, `"gracekit":"shutdown/hangs"`)

		step, err := json.Marshal(gs.Report().Steps[2])
		require.NoError(t, err)
		assert.Contains(t, string(step), "connection", "a Step as Watch gets it")
	})
	t.Run("before the trigger, and one that somebody has made", func(t *testing.T) {
		_ = asJSON(t, shutdown.New().Report())
		made := asJSON(t, newReport(shutdown.Report{Reason: errTest},
			shutdown.Step{Name: "x", State: shutdown.StateError, Err: errTest}))
		assert.Equal(t, "test: some failure", made.Reason)
		require.NotNil(t, made.Steps[0].Error)
		assert.Equal(t, "test: some failure", *made.Steps[0].Error)
	})
	t.Run("errors of users that misbehave are said all the same", func(t *testing.T) {
		r := newReport(shutdown.Report{Reason: (*nilError)(nil), Start: time.Now()},
			shutdown.Step{Name: "x", State: shutdown.StateError, Err: (*nilError)(nil)})
		assert.NotPanics(t, func() { _ = r.String(); _, _ = json.Marshal(r); _ = r.LogValue() })
	})
}

// No word stands twice, in no form of the report.
func TestReportsHaveNoDoubledWords(t *testing.T) {
	for name, begin := range map[string]func(gs service){
		"requested":                  func(gs service) { gs.Shutdown(nil) },
		"Before without a reason":    func(gs service) { gs.Shutdown(shutdown.Before(time.Now(), nil)) },
		"a component fails":          func(gs service) { gs.component("feed", returns(errTest)) },
		"a manager without a reason": func(gs service) { gs.managers(asks("ec2")) },
		"a poll": func(gs service) {
			gs.managers(shutdown.Poll("spot", sec, func(context.Context) (bool, error) { return true, nil }))
		},
		"the context of Start": func(service) {},
	} {
		bubble(t, name, func(t *testing.T) {
			var text, records bytes.Buffer
			gs := newService(t, shutdown.Grace(sec), shutdown.Logger(slog.New(slog.NewMultiHandler(
				textLogger(&text).Handler(), slog.NewJSONHandler(&records, nil)))))
			gs.callback("hangs", 100, hanging(t))
			begin(gs)
			ctx, cancel := context.WithTimeout(t.Context(), 3*sec)
			defer cancel()
			err := gs.Run(ctx)
			require.Error(t, err)
			out, _ := json.Marshal(gs.Report().Reason.Error())
			for _, s := range []string{text.String(), gs.Report().String(), err.Error(), string(out)} {
				for line := range strings.Lines(s) {
					assert.Empty(t, doubledWord(line), "in %s", line)
				}
			}
			assert.NotContains(t, text.String(), `manager=""`)
			assert.NotContains(t, records.String(), `"manager":""`)
			assert.NotContains(t, records.String(), `{}`)
		})
	}
}

// doubledWord returns the first word of a line that follows itself.
func doubledWord(line string) string {
	words := regexp.MustCompile(`[^\pL]+`).Split(strings.ToLower(line), -1)
	for i := 1; i < len(words); i++ {
		if len(words[i]) > 2 && words[i] == words[i-1] {
			return words[i]
		}
	}
	return ""
}

// asks is a manager that requests the stop as it starts.
func asks(name string) *manager {
	return &manager{name: name, start: func(_ context.Context, request func(error)) error {
		request(nil)
		return nil
	}}
}
