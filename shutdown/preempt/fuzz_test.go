package preempt_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown/preempt"
)

// fuzzNotice checks what holds for each parser of one value: a notice comes from a value that
// announces something, and never beside an error.
func fuzzNotice(
	f *testing.F, parse func([]byte) (*preempt.Notice, error), announces func(string) bool,
) {
	f.Helper()
	f.Fuzz(func(t *testing.T, body string) {
		n, err := parse([]byte(body))
		if err != nil {
			assert.Nil(t, n)
			assert.Less(t, len(err.Error()), 400+len(body))
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		if assert.Equal(t, announces(body), n != nil, "a notice of %q", body) && n != nil {
			assert.NotEmpty(t, n.Error())
			assert.NotContains(t, n.Error(), "\n")
		}
	})
}

func FuzzSpotAction(f *testing.F) {
	f.Add(`{"action": "terminate", "time": "2017-09-18T08:22:00Z"}`)
	f.Add(`{"action": "hibernate", "time": "2017-09-18T08:22:00+02:00"}`)
	f.Add(`{"action": "stop"}`)
	f.Add(`{"action": "stop", "time": "0001-01-01T00:00:00Z"}`)
	fuzzNotice(f, preempt.ParseSpotAction, func(body string) bool {
		return hasKey(body, "action") && hasKey(body, "time")
	})
}

// hasKey reports whether a JSON object has a key, whatever its case, as package json matches them.
func hasKey(body, key string) bool {
	var doc map[string]any
	if json.Unmarshal([]byte(body), &doc) != nil {
		return false
	}
	for k := range doc {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

func FuzzRebalance(f *testing.F) {
	f.Add(`{"noticeTime": "2020-10-27T08:22:00Z"}`)
	f.Add(`{"noticeTime": ""}`)
	f.Add(`null`)
	fuzzNotice(f, preempt.ParseRebalance, func(body string) bool { return hasKey(body, "noticeTime") })
}

func FuzzLifecycleState(f *testing.F) {
	f.Add("InService")
	f.Add("Terminated")
	f.Add(" Warmed:Terminated\n")
	f.Add("Warmed:Stopped")
	fuzzNotice(f, preempt.ParseLifecycleState, func(body string) bool {
		return strings.HasSuffix(strings.TrimSpace(body), "Terminated")
	})
}

func FuzzPreempted(f *testing.F) {
	f.Add("TRUE")
	f.Add("FALSE\n")
	f.Add("true")
	fuzzNotice(f, preempt.ParsePreempted, func(body string) bool {
		return strings.TrimSpace(body) == "TRUE"
	})
}

func FuzzMaintenanceEvent(f *testing.F) {
	f.Add("NONE")
	f.Add("MIGRATE_ON_HOST_MAINTENANCE")
	f.Add("TERMINATE_ON_HOST_MAINTENANCE\n")
	fuzzNotice(f, preempt.ParseMaintenanceEvent, func(body string) bool {
		return strings.HasSuffix(strings.TrimSpace(body), "_ON_HOST_MAINTENANCE")
	})
}

// A document of one event, beside whatever else is in it.
func FuzzEvents(f *testing.F) {
	const id = "C7061BAC-AFDC-4513-B24B-AA5F13A16123"
	f.Add(`{}`, id, "Scheduled", "Freeze", "Mon, 11 Apr 2022 22:26:58 GMT",
		"WestNO_0", "WestNO_1", "WestNO_0")
	f.Add(`{"EventId": "A"}`, id, "Started", "Reboot", "", "a", "A", "A")
	f.Add(`{"Resources": ["a"]}`, id, "Started", "Terminate", "", "a", "a", "A")
	f.Add(`{"EventId": 5}`, id, "Started", "Terminate", "", "a", "a", "A")
	f.Add(`"null"`, "", "Scheduled", "Redeploy", "now", "a", "b", "c")
	f.Fuzz(func(t *testing.T, other, id, status, kind, notBefore, first, second, machine string) {
		for _, s := range []string{id, status, kind, notBefore, first, second, machine} {
			if !utf8.ValidString(s) {
				return // JSON could not hold it
			}
		}
		event, err := json.Marshal(map[string]any{
			"EventId": id, "EventStatus": status, "EventType": kind, "NotBefore": notBefore,
			"Resources": []string{first, second},
		})
		require.NoError(t, err)
		head := `{"DocumentIncarnation": 1, "Events": [`
		alone, _ := preempt.ParseEvents([]byte(head+string(event)+`]}`), machine)
		_, _ = preempt.ParseEvents([]byte(other), machine)

		at, err := http.ParseTime(notBefore)
		mine := strings.EqualFold(first, machine) || strings.EqualFold(second, machine)
		want := mine && id != "" && (status == "Scheduled" && err == nil && !at.IsZero() &&
			slices.Contains([]string{"Preempt", "Terminate", "Reboot", "Redeploy", "Freeze"}, kind) ||
			status == "Started" && slices.Contains([]string{"Preempt", "Terminate", "Freeze"}, kind))
		require.Equal(t, want, len(alone) == 1, "%s for %q", event, machine)
		require.LessOrEqual(t, len(alone), 1)
		if want {
			assert.Equal(t, kind, alone[0].Event)
			assert.Equal(t, status == "Scheduled", !alone[0].At.IsZero())
		}

		// Another event, whatever it is like, loses none that is understood.
		if json.Valid([]byte(other)) {
			both, _ := preempt.ParseEvents([]byte(head+other+","+string(event)+`]}`), machine)
			assert.GreaterOrEqual(t, len(both), len(alone))
		}
	})
}
