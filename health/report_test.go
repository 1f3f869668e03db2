package health_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

func TestReportIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe, Period: time.Second,
			Kind: health.Live})
		start(t, r)
		time.Sleep(100*time.Second + 1)
		report := r.Report(health.Live)
		require.Len(t, report.Checks[0].History, 40)
		assert.WithinDuration(t, time.Now(), report.Checks[0].Last().Time, time.Second)
		assert.Equal(t, 100*time.Second+1, time.Since(report.Checks[0].Since))
		report.Checks[0].History[0].Err = errBad
		assert.NoError(t, r.Report(health.Live).Checks[0].History[0].Err)
	})
}

func TestReportPanicsOnOtherKinds(t *testing.T) {
	r := newRegistry(t)
	want := "health: Report(Kind(0x0)): expected Live, Ready, Startup or several of them"
	assert.PanicsWithValue(t, want, func() { r.Report(0) })
	assert.Panics(t, func() { r.Report(8) })
	assert.Panics(t, func() { r.Handler(0) })
}

// Errors have no exported fields, so encoding/json would leave nothing of them, or fail.
func TestJSONHasTheTextOfErrors(t *testing.T) {
	r := newRegistry(t, health.Check{Name: "db", Failures: 1, Period: time.Hour,
		Probe: func(context.Context) error { return unmarshalable{make(chan int)} }})
	events := make(chan health.Event, 1)
	r.OnChange(func(e health.Event) { events <- e })
	start(t, r)
	event, err := json.Marshal(<-events)
	require.NoError(t, err)
	assert.Contains(t, string(event), `"Err":"unmarshalable"`)
	assert.Contains(t, string(event), `"Check":"db","Kind":"ready","From":"pending","To":"down"`)
	report, err := json.Marshal(r.Report(health.Ready))
	require.NoError(t, err)
	assert.Contains(t, string(report), `"Err":"unmarshalable"`)
	own, err := json.Marshal(health.Result{Err: unmarshalable{}})
	require.NoError(t, err)
	assert.Contains(t, string(own), `"Err":"unmarshalable"`)
	ok, err := json.Marshal(health.Result{})
	require.NoError(t, err)
	assert.NotContains(t, string(ok), "Err")
}

type unmarshalable struct{ C chan int }

func (unmarshalable) Error() string { return "unmarshalable" }
