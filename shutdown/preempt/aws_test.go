package preempt_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown/preempt"
)

func TestAWS(t *testing.T) {
	const (
		spot      = "spot/instance-action"
		lifecycle = "autoscaling/target-lifecycle-state"
		rebalance = "events/recommendations/rebalance"
	)
	tests := []struct {
		name        string
		path, value string
		kind        preempt.Kind // empty if it is no notice
		event       string
		at          string
	}{
		{
			"terminate", spot, `{"action": "terminate", "time": "2000-01-01T00:02:00Z"}`,
			preempt.Preemption, "terminate", "2000-01-01T00:02:00Z",
		},
		{
			"stop", spot, `{"action": "stop", "time": "2000-01-01T00:02:00Z"}`,
			preempt.Preemption, "stop", "2000-01-01T00:02:00Z",
		},
		{
			"hibernate", spot, `{"action": "hibernate", "time": "2000-01-01T00:00:30Z"}`,
			preempt.Pause, "hibernate", "2000-01-01T00:00:30Z",
		},
		{
			"a time that cannot be", spot, `{"action": "stop", "time": "2000-01-01T01:00:00Z"}`,
			preempt.Preemption, "stop", "2000-01-01T00:02:00Z",
		},
		{
			"the group becomes smaller", lifecycle, "Terminated",
			preempt.Termination, "Terminated", "",
		},
		{
			"the warm pool becomes smaller", lifecycle, "Warmed:Terminated\n",
			preempt.Termination, "Warmed:Terminated", "",
		},
		{"in service", lifecycle, "InService", "", "", ""},
		{"into the warm pool", lifecycle, "Warmed:Stopped", "", "", ""},
		{"an unknown state", lifecycle, "Terminated?", "", "", ""},
		{
			"an unknown action", spot, `{"action": "dance", "time": "2000-01-01T00:02:00Z"}`,
			"", "", "",
		},
		{"no time", spot, `{"action": "terminate"}`, "", "", ""},
		{"no action", spot, `{"time": "2000-01-01T00:02:00Z"}`, "", "", ""},
		{"an array", spot, `["terminate"]`, "", "", ""},
		{
			"a rebalance recommendation", rebalance, `{"noticeTime": "2000-01-01T00:00:00Z"}`,
			preempt.Rebalance, "rebalance", "",
		},
		{"a recommendation without a time", rebalance, `{}`, "", "", ""},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			f := newFakeAWS()
			f.set(tt.path, tt.value)
			kinds := preempt.Kinds(preempt.Preemption, preempt.Termination, preempt.Maintenance,
				preempt.Pause, preempt.Rebalance)
			s := start(t, preempt.AWS(preempt.Dial(newNetwork(t, f).dial), kinds))
			if tt.kind == "" {
				time.Sleep(time.Minute)
				assert.False(t, s.draining())
				return
			}
			n := s.notice(t)
			assert.Equal(t, tt.kind, n.Kind)
			assert.Equal(t, tt.event, n.Event)
			if tt.at == "" {
				assert.Zero(t, n.At)
				return
			}
			assert.Equal(t, tt.at, n.At.UTC().Format(time.RFC3339))
		})
	}
}

// A token that is over is replaced, and no notice comes late for it.
func TestAWSToken(t *testing.T) {
	bubble(t, "401", func(t *testing.T) {
		f := newFakeAWS()
		n := newNetwork(t, f)
		s := start(t, preempt.AWS(preempt.Dial(n.dial), preempt.Every(5*time.Minute)))
		time.Sleep(time.Hour)
		assert.Equal(t, 1, f.given())
		for range 3 {
			f.expire()
			time.Sleep(6 * time.Hour)
		}
		assert.Equal(t, 1+3*3, f.given(), "one for each question")
		assert.Len(t, s.log.take(), 1)
		f.expire()
		f.preempt()
		begin := time.Now()
		s.notice(t)
		assert.LessOrEqual(t, time.Since(begin), 5*time.Minute)
	})
}

func TestAWSTokenThatCannotBeOne(t *testing.T) {
	for name, token := range map[string]string{
		"empty": "", "two lines": "a\nb", "not ASCII": "é", "long": strings.Repeat("x", 2000),
	} {
		bubble(t, name, func(t *testing.T) {
			n := newNetwork(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut {
					w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
					_, _ = io.WriteString(w, token)
					return
				}
				assert.Fail(t, "it is used")
			}))
			s := start(t, preempt.AWS(preempt.Dial(n.dial)))
			time.Sleep(time.Minute)
			lines := s.log.take()
			require.Len(t, lines, 1)
			assert.Contains(t, lines[0], "nothing is watched: the token is ")
		})
	}
}

// A clock that differs moves the deadline to where it belongs.
func TestClockThatDiffers(t *testing.T) {
	const day = 24 * time.Hour
	for _, ahead := range []time.Duration{
		0, time.Second, time.Minute, -time.Minute, 10 * day, -10 * day,
	} {
		bubble(t, "AWS "+ahead.String(), func(t *testing.T) {
			f := newFakeAWS()
			f.clock = ahead
			s := start(t, preempt.AWS(preempt.Dial(newNetwork(t, f).dial)))
			time.Sleep(time.Minute)
			f.spot("terminate", 2*time.Minute)
			end := time.Now().Add(2 * time.Minute)
			assert.WithinDuration(t, end, s.notice(t).At, 2*time.Second)
		})
		bubble(t, "Azure "+ahead.String(), func(t *testing.T) {
			f := newFakeAzure()
			f.clock = ahead
			s := start(t, preempt.Azure(preempt.Dial(newNetwork(t, f).dial)))
			time.Sleep(time.Minute)
			f.set(f.event("Reboot", 15*time.Minute))
			end := time.Now().Add(15 * time.Minute)
			require.WithinDuration(t, end, s.notice(t).At, 2*time.Second)
		})
	}
}
