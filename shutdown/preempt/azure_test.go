package preempt_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/preempt"
)

func TestAzureEvents(t *testing.T) {
	f := newFakeAzure()
	in := func(kind string, in time.Duration, machines ...string) func() []azureEvent {
		return func() []azureEvent { return []azureEvent{f.event(kind, in, machines...)} }
	}
	changed := func(kind string, change func(*azureEvent)) func() []azureEvent {
		return func() []azureEvent {
			e := f.event(kind, 0)
			change(&e)
			return []azureEvent{e}
		}
	}
	started := func(e *azureEvent) { e.EventStatus, e.NotBefore = "Started", "" }
	const (
		minute = time.Minute
		never  = 24 * time.Hour
	)
	tests := []struct {
		name   string
		events func() []azureEvent
		kind   preempt.Kind  // empty if it does not stop
		after  time.Duration // when it stops
		others int           // how often OnOther is called
	}{
		{"Preempt", in("Preempt", 30*time.Second), preempt.Preemption, 0, 0},
		{"Terminate", in("Terminate", 5*minute), preempt.Termination, 0, 0},
		{"Reboot", in("Reboot", 15*minute), preempt.Maintenance, 0, 0},
		{"Redeploy", in("Redeploy", 10*minute), preempt.Maintenance, 0, 0},
		{"Freeze", in("Freeze", 15*minute), "", never, 1},
		{
			"a redeployment some hours ahead, from hardware that may fail",
			in("Redeploy", 7*time.Hour), preempt.Maintenance, 7*time.Hour - 20*minute, 1,
		},
		{
			"of another machine",
			in("Reboot", 15*minute, "WestNO_1", "WestNO_00"), "", never, 0,
		},
		{
			"of several machines",
			in("Reboot", 15*minute, "WestNO_1", "westno_0"), preempt.Maintenance, 0, 0,
		},
		{
			"a Terminate that has started",
			changed("Terminate", started), preempt.Termination, 0, 0,
		},
		{
			"a Reboot that has started, which the machine has behind it",
			changed("Reboot", started), "", never, 0,
		},
		{
			"one that is not understood, before one that is",
			func() []azureEvent {
				return []azureEvent{f.event("Dance", minute), f.event("Preempt", 30*time.Second)}
			},
			preempt.Preemption, 0, 0,
		},
		{
			"a time that is not understood",
			changed("Reboot", func(e *azureEvent) { e.NotBefore = "soon" }), "", never, 0,
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			f = newFakeAzure()
			f.set(tt.events()...)
			var others told
			const every = 5 * time.Minute
			s := start(t, preempt.Azure(preempt.Dial(newNetwork(t, f).dial), preempt.Every(every),
				others.option()))
			begin := time.Now()
			select {
			case <-s.Draining():
				assert.WithinDuration(t, begin.Add(tt.after), time.Now(), every)
				assert.Equal(t, tt.kind, s.notice(t).Kind)
			case <-time.After(8 * time.Hour):
				assert.Empty(t, tt.kind, "it does not stop")
			}
			assert.Len(t, others.all(), tt.others)
		})
	}
}

// The acknowledgement comes once, and after everything else.
func TestAzureAcknowledgement(t *testing.T) {
	const one = `{"StartRequests":[{"EventId":"` + azureID + `"}]}`
	other := func(f *fakeAzure, id, kind string) azureEvent {
		e := f.event(kind, 15*time.Minute)
		e.EventId = id
		return e
	}
	tests := []struct {
		name  string
		begin func(s service, f *fakeAzure)
		drain func(f *fakeAzure, n *network) // in the last phase, 10 seconds long
		want  []string
	}{
		{"an event", func(_ service, f *fakeAzure) { f.preempt() }, nil, []string{one}},
		{
			"two events, of which one stops",
			func(_ service, f *fakeAzure) {
				f.set(other(f, "freeze", "Freeze"), f.event("Reboot", 15*time.Minute))
			},
			nil, []string{one},
		},
		{
			"two events that stop",
			func(_ service, f *fakeAzure) {
				f.set(other(f, "A", "Reboot"), other(f, "B", "Redeploy"))
			},
			nil, []string{`{"StartRequests":[{"EventId":"A"},{"EventId":"B"}]}`},
		},
		{"stopped by something else", func(s service, _ *fakeAzure) { s.Shutdown(nil) }, nil, nil},
		{
			"stopped by something else while an event stands that does not stop",
			func(s service, f *fakeAzure) {
				f.set(f.event("Freeze", 15*time.Minute))
				time.Sleep(time.Minute)
				s.Shutdown(nil)
			},
			nil, nil,
		},
		{
			"an event of several machines",
			func(_ service, f *fakeAzure) {
				f.set(f.event("Reboot", 15*time.Minute, "WestNO_0", "WestNO_1"))
			},
			nil, nil,
		},
		{
			"called off while the service drains",
			func(_ service, f *fakeAzure) { f.set(f.event("Reboot", 15*time.Minute)) },
			func(f *fakeAzure, _ *network) { f.set() }, nil,
		},
		{
			"started while the service drains",
			func(_ service, f *fakeAzure) { f.set(f.event("Terminate", 15*time.Minute)) },
			func(f *fakeAzure, _ *network) {
				e := f.event("Terminate", 0)
				e.EventStatus, e.NotBefore = "Started", ""
				f.set(e)
			},
			nil,
		},
		{
			"throttled",
			func(_ service, f *fakeAzure) { f.preempt() },
			func(f *fakeAzure, _ *network) { f.throttle(3) }, []string{one},
		},
		{
			"throttled for ever",
			func(_ service, f *fakeAzure) { f.preempt() },
			func(f *fakeAzure, _ *network) { f.throttle(1000) }, nil,
		},
		{
			"not answered",
			func(_ service, f *fakeAzure) { f.preempt() },
			func(_ *fakeAzure, n *network) { n.set(hang) }, nil,
		},
		{
			"refused",
			func(_ service, f *fakeAzure) { f.preempt() },
			func(_ *fakeAzure, n *network) { n.set(status(http.StatusBadRequest)) }, nil,
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			f := newFakeAzure()
			n := newNetwork(t, f)
			s := start(t, preempt.Azure(preempt.Dial(n.dial)))
			var drained time.Time
			require.NoError(t, s.AddCallback(shutdown.Callback{
				Name: "flush", Phase: shutdown.PhaseFlush,
				Func: func(context.Context) error {
					if tt.drain != nil {
						tt.drain(f, n)
					}
					time.Sleep(10 * time.Second)
					assert.Empty(t, f.posted(), "acknowledged before the end")
					drained = time.Now()
					return nil
				},
			}))
			time.Sleep(time.Minute)
			tt.begin(s, f)
			require.NoError(t, s.Wait(), "a failure of the acknowledgement is none of the stop")
			assert.LessOrEqual(t, time.Since(drained), 2*time.Second)
			time.Sleep(time.Hour)
			assert.Equal(t, tt.want, f.posted())
		})
	}
}

// The first question, which enables the events, may be answered after two minutes.
func TestAzureFirstAnswer(t *testing.T) {
	bubble(t, "after two minutes", func(t *testing.T) {
		f := newFakeAzure()
		f.enabled = time.Now().Add(2 * time.Minute)
		n := newNetwork(t, f)
		s := start(t, preempt.Azure(preempt.Dial(n.dial)))
		time.Sleep(2*time.Minute - time.Second)
		assert.Equal(t, 2, n.requests(), "for the name and for the events")
		time.Sleep(time.Minute)
		assert.Len(t, s.log.take(), 1, "no failure")
		f.preempt()
		begin := time.Now()
		s.notice(t)
		assert.LessOrEqual(t, time.Since(begin), time.Second)
	})
}
