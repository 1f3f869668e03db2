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
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestReportTimeline(t *testing.T) {
	bubble(t, "during the stop and after it", func(t *testing.T) {
		gs := newService(t, shutdown.Grace(10*sec), shutdown.Delay(2*sec), shutdown.Tail(sec))
		m := &manager{name: "platform"}
		gs.managers(m)
		gs.callback("api", shutdown.PhaseIngress, sleep(2*sec))
		gs.callback("übung", shutdown.PhaseWork, hanging(t))
		gs.callback("mysql", shutdown.PhaseStore, returns(errors.New("two\nlines")))
		gs.start()
		m.request(errors.New("the platform says so"))
		time.Sleep(5 * sec)
		assert.Equal(t, `shutdown: the platform says so, by platform, 5s
  start    platform  |#                                       | 0s      ok
  delay              |################                        | 2s      ok
  ingress  api       |                ################        | 2s      ok
  work     übung     |                                ########| 1s      running
`, gs.Report().String())
		require.Error(t, gs.Wait())
		assert.Equal(t, `shutdown: the platform says so, by platform, 10s
  start    platform  |#                                       | 0s      ok
  delay              |########                                | 2s      ok
  ingress  api       |        ########                        | 2s      ok
  work     übung     |                ########################| 6.01s   timeout: `+
			`shutdown: timed out after 6s
  store    mysql     |                                       #| 0s      error: two
  finish   platform  |                                       #| 0s      ok
`, gs.Report().String())
		assert.True(t, gs.Report().Failed())
	})
	bubble(t, "with a slow hook", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(3*sec))
		gs.managers(&manager{
			name:  "platform",
			begin: func(context.Context, error) error { time.Sleep(sec); return nil },
		})
		gs.start()
		require.NoError(t, gs.stop())
		assert.Equal(t, `shutdown: requested, 4s
  start   platform  |##########                              | 1s      ok
  delay             |          ##############################| 3s      ok
  finish  platform  |                                       #| 0s      ok
`, gs.Report().String())
	})
	bubble(t, "each bar begins where the one before ends", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(2*sec))
		gs.callback("a", 100, sleep(2*sec))
		gs.callback("bb", 200, sleep(4*sec))
		gs.callback("instant", 250, sleep(0))
		gs.callback("ccc", 400, sleep(8*sec))
		gs.start()
		require.NoError(t, gs.stop())
		text := gs.Report().String()
		lines := barLines(t, text)
		require.Len(t, lines, 5)
		width, next := len(lines[0]), 0
		for _, bar := range lines {
			assert.Len(t, bar, width)
			assert.NotContains(t, strings.TrimSpace(bar), " ", "a gap in %q", bar)
			first, last := strings.Index(bar, "#"), strings.LastIndex(bar, "#")
			require.GreaterOrEqual(t, first, 0, "nothing to be seen in %q", bar)
			assert.InDelta(t, next, first, 1.5, "%q", bar)
			next = last + 1
		}
		assert.Equal(t, width, next, "the last one ends at the right\n%s", text)
	})
}

// barLines returns what stands between the outer bars of each line but the first.
func barLines(t *testing.T, timeline string) []string {
	t.Helper()
	var bars []string
	for _, line := range strings.Split(strings.TrimRight(timeline, "\n"), "\n")[1:] {
		_, rest, _ := strings.Cut(line, "|")
		bar, _, ok := strings.Cut(rest, "|")
		assert.True(t, ok, "a line without a bar: %q", line)
		bars = append(bars, bar)
	}
	return bars
}

func TestReportBeforeTheTrigger(t *testing.T) {
	gs := newService(t)
	assert.Equal(t, shutdown.Report{}, gs.Report())
	assert.Equal(t, "shutdown: not requested", gs.Report().String())
	assert.False(t, gs.Report().Failed())
}

func TestReportDuringTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec))
		gs.callback("a", 1, sleep(4*sec))
		gs.callback("b", 2, sleep(0))
		gs.start()
		gs.Shutdown(errTest)
		time.Sleep(500 * ms)
		assert.Equal(t, 500*ms, gs.Report().Total)
		assert.Equal(t, errTest, gs.Report().Reason)
		time.Sleep(sec)
		r := gs.Report()
		assert.Equal(t, 1500*ms, r.Total)
		assert.Equal(t, "running", states(r))
		assert.Zero(t, row(t, r, "a").Duration)
		assert.False(t, r.Failed())
		require.NoError(t, gs.Wait())
		r = gs.Report()
		time.Sleep(time.Hour)
		assert.Equal(t, r, gs.Report(), "a final report stays as it is")
		r.Steps[0].Name = "changed by its owner"
		assert.NotEqual(t, r, gs.Report(), "the rows are shared")
	})
}

func TestReportAsLogValue(t *testing.T) {
	r := newReport(
		shutdown.Report{
			Reason: errors.New("why"), Manager: "m", Start: time.Now(), Total: 1500 * ms,
		},
		shutdown.Step{
			Name: "db", Phase: shutdown.PhaseStore, State: shutdown.StateError,
			Duration: 1234567 * time.Nanosecond, Err: errors.New("gone\nreally"),
		},
		shutdown.Step{Name: "db", Phase: shutdown.PhaseFlush, State: shutdown.StateOK},
		shutdown.Step{Name: "db", Phase: shutdown.PhaseFlush, State: shutdown.StateTimeout},
	)
	var text, jsonText bytes.Buffer
	textLogger(&text).Info("stopped", "report", r)
	assert.Equal(t, `level=INFO msg=stopped report.reason=why report.manager=m report.total=1.5s`+
		` report.store.db="1.23ms error: gone" report.flush.db="0s ok" report.flush.db#2="0s timeout"`+"\n",
		text.String())

	// Two callbacks of one name are both there for a reader of JSON, to whom a key is there once.
	slog.New(slog.NewJSONHandler(&jsonText, nil)).Info("stopped", "report", r)
	var decoded any
	require.NoError(t, json.Unmarshal(jsonText.Bytes(), &decoded))
	again, err := json.Marshal(decoded)
	require.NoError(t, err)
	assert.Contains(t, string(again), "gone")
	assert.Contains(t, string(again), `"flush.db":"0s ok"`)
	assert.Contains(t, string(again), `"flush.db#2":"0s timeout"`)
}

// Names and errors may come from a client. Each row has one line, whatever is in them, and the
// terminal obeys nothing.
func TestReportWithHostileText(t *testing.T) {
	hostile := []string{
		"\x1b[2Jclear", "tab\tbed", "\x00nul", "bell\a", "\b\b\b", "carriage\rreturn", "two\nlines",
		"\v\f", "\u0085next line", "\u009b2J", "\u2028separator", "\u202eright to left",
		strings.Repeat("very long ", 100), "日本語の名前", "👩‍👩‍👧‍👦", "%s%d%!", "\xff\xfe invalid",
		" ", "|####|",
	}
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		for _, name := range hostile {
			gs.callback(name, 1, sleep(sec))
			gs.callback(name, 2, returns(errors.New(name+"\n  ingress  forged  |####| 1s ok")))
			gs.managers(&manager{name: name})
		}
		gs.callback("empty error", 3, returns(errors.New("")))
		m := &manager{name: "asks\x1b[2J"}
		gs.managers(m)
		gs.start()
		m.request(errors.New("reason\x1b[31m\nwith\x00 everything"))
		require.Error(t, gs.Wait())
		report := gs.Report()
		text := report.String()
		assert.NotContains(t, text, "forged")
		assert.Len(t, barLines(t, text), len(report.Steps), "one line for each row")
		for _, c := range text {
			if c != '\n' && (unicode.IsControl(c) || c == '\u2028' || c == '\u202e') {
				t.Errorf("%U comes out", c)
			}
		}

		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("stopped", "report", report)
		assert.Equal(t, 1, strings.Count(out.String(), "\n"), "one record, one line")
		out.Reset()
		slog.New(slog.NewJSONHandler(&out, nil)).Info("stopped", "report", report)
		var decoded struct {
			Report map[string]any
		}
		require.NoError(t, json.Unmarshal(out.Bytes(), &decoded))
		assert.Contains(t, decoded.Report, "reason")
		assert.Contains(t, decoded.Report, "total")
	})
}

// However odd the numbers, a report can be drawn.
func TestReportOfOddNumbers(t *testing.T) {
	const huge = time.Duration(1 << 62)
	type report = shutdown.Report
	for _, r := range []report{
		{},
		newReport(report{Total: -sec}, shutdown.Step{Start: -time.Hour, Duration: time.Hour}),
		newReport(report{Total: 1}, shutdown.Step{Start: time.Hour, Duration: huge}),
		newReport(report{Total: huge}, shutdown.Step{Start: huge, Duration: huge}),
		newReport(report{}, shutdown.Step{Phase: -1, Duration: 2 * sec}),
		newReport(report{}, shutdown.Step{Phase: -5, State: "?", Err: errors.New("")}),
		newReport(report{}, shutdown.Step{Start: -time.Hour, Duration: -time.Hour}),
	} {
		assert.NotPanics(t, func() { _, _, _ = r.String(), r.LogValue(), r.Failed() }, "%#v", r)
		r.Start = time.Now() // without it there is nothing to draw
		t.Run(fmt.Sprintf("%v of %v", r.Steps, r.Total), func(t *testing.T) {
			text := r.String()
			assert.Less(t, len(text), 1000)
			for _, bar := range barLines(t, text) {
				assert.Len(t, bar, 40)
				assert.Contains(t, bar, "#")
			}
		})
	}
}
