package shutdown_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestReportTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := unhang(t)
		gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Delay(2*time.Second), shutdown.Tail(time.Second))
		m := &hooked{manager{name: "platform"}, func(context.Context, error) error { return nil }, func(context.Context, shutdown.Report) error { return nil }}
		require.NoError(t, gs.AddManager(m))
		require.NoError(t, gs.AddCallback(
			shutdown.Callback{Name: "api", Phase: shutdown.PhaseIngress, Func: sleep(2 * time.Second)},
			shutdown.Callback{Name: "übung", Phase: shutdown.PhaseWork, Func: hang},
			shutdown.Callback{Name: "mysql", Phase: shutdown.PhaseStore, Func: func(context.Context) error { return errors.New("two\nlines") }},
		))
		require.NoError(t, gs.Start(t.Context()))
		m.request(errors.New("the platform says so"))
		time.Sleep(5 * time.Second)
		assert.Equal(t, `shutdown: the platform says so (platform), 5s
  start    platform  |#                                       | 0s      ok
  delay              |################                        | 2s
  ingress  api       |                ################        | 2s      ok
  work     übung     |                                ########| 1s      running
`, gs.Report().String())
		require.Error(t, gs.Wait())
		assert.Equal(t, `shutdown: the platform says so (platform), 10s
  start    platform  |#                                       | 0s      ok
  delay              |########                                | 2s
  ingress  api       |        ########                        | 2s      ok
  work     übung     |                ########################| 6s      timeout: übung (work): shutdown: timed out after 6s
  store    mysql     |                                       #| 0s      error: mysql (store): two
  finish   platform  |                                       #| 0s      ok
`, gs.Report().String())
		assert.True(t, gs.Report().Failed())
	})
}

func TestReportTimelineOfASlowHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(3 * time.Second))
		require.NoError(t, gs.AddManager(&hooked{manager{name: "platform"}, func(context.Context, error) error { time.Sleep(time.Second); return nil },
			func(context.Context, shutdown.Report) error { return nil }}))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		assert.Equal(t, `shutdown: shutdown: requested, 4s
  start   platform  |##########                              | 1s      ok
  delay             |          ##############################| 3s
  finish  platform  |                                       #| 0s      ok
`, gs.Report().String())
	})
}

func TestReportBeforeTheTrigger(t *testing.T) {
	gs := shutdown.New()
	assert.Equal(t, shutdown.Report{}, gs.Report())
	assert.Equal(t, "shutdown: not requested", gs.Report().String())
	assert.False(t, gs.Report().Failed())
}

func TestReportAsLogValue(t *testing.T) {
	r := shutdown.Report{Reason: errors.New("why"), Manager: "m", Start: time.Now(), Total: 1500 * time.Millisecond,
		Callbacks: []shutdown.CallbackReport{{Name: "db", Phase: shutdown.PhaseStore, State: shutdown.StateError, Duration: 1234567 * time.Nanosecond, Err: errors.New("gone\nreally")}}}
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: withoutTime})).Info("stopped", "report", r)
	assert.Equal(t, `level=INFO msg=stopped report.reason=why report.manager=m report.total=1.5s report.delay=0s report.linger=0s`+
		` report.callbacks="[store db: error after 1.23ms: gone]"`+"\n", b.String())
	assert.NotPanics(t, func() { _ = shutdown.Report{}.LogValue() })
}

// However odd the numbers, a report can be drawn.
func TestReportOfOddNumbers(t *testing.T) {
	r := shutdown.Report{Start: time.Now(), Linger: time.Second, Callbacks: []shutdown.CallbackReport{
		{Name: "before", Phase: -1, Duration: 2 * time.Second},
		{Name: "longer than the whole", Start: time.Hour, Duration: time.Hour},
		{Name: "negative", Start: -time.Hour, Duration: -time.Hour},
	}}
	assert.Contains(t, r.String(), "longer than the whole")
	r.Total = time.Second
	assert.Contains(t, r.String(), "  linger                          |")
}

func TestPhaseNames(t *testing.T) {
	for phase, want := range map[shutdown.Phase]string{
		shutdown.PhaseIngress: "ingress", shutdown.PhaseWork: "work", shutdown.PhaseStore: "store", shutdown.PhaseFlush: "flush", 250: "phase 250",
	} {
		assert.Equal(t, want, phase.String())
	}
}
