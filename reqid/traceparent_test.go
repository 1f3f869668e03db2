package reqid_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

// The examples of the recommendation (https://www.w3.org/TR/trace-context/ and trace-context-2) and
// the values of the working group's own test suite (github.com/w3c/trace-context, test/test.py).
const (
	specTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	specParent = "00f067aa0ba902b7"
	suiteTrace = "12345678901234567890123456789012"
	suiteSpan  = "1234567890123456"
)

func TestParseTraceParent(t *testing.T) {
	tests := []struct {
		name, in        string
		trace, parent   string
		sampled, random bool
		out             string
	}{
		{"example, sampled", "00-" + specTrace + "-" + specParent + "-01", specTrace, specParent,
			true, false, "00-" + specTrace + "-" + specParent + "-01"},
		{"example, not sampled", "00-" + specTrace + "-" + specParent + "-00", specTrace,
			specParent, false, false, "00-" + specTrace + "-" + specParent + "-00"},
		{"example of the overview", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", true, false,
			"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{"next hop of the overview", "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01",
			"0af7651916cd43dd8448eb211c80319c", "b9c7c989f97918e1", true, false,
			"00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01"},
		{"random", "00-" + suiteTrace + "-" + suiteSpan + "-02", suiteTrace, suiteSpan, false, true,
			"00-" + suiteTrace + "-" + suiteSpan + "-02"},
		{"sampled and random", "00-" + suiteTrace + "-" + suiteSpan + "-03", suiteTrace, suiteSpan,
			true, true, "00-" + suiteTrace + "-" + suiteSpan + "-03"},
		{"unknown flags are kept out", "00-" + suiteTrace + "-" + suiteSpan + "-ff", suiteTrace,
			suiteSpan, true, true, "00-" + suiteTrace + "-" + suiteSpan + "-03"},
		{"only unknown flags", "00-" + suiteTrace + "-" + suiteSpan + "-fc", suiteTrace, suiteSpan,
			false, false, "00-" + suiteTrace + "-" + suiteSpan + "-00"},
		{"flag 09 is sampled", "00-" + suiteTrace + "-" + suiteSpan + "-09", suiteTrace, suiteSpan,
			true, false, "00-" + suiteTrace + "-" + suiteSpan + "-01"},
		{"flag 0a is random", "00-" + suiteTrace + "-" + suiteSpan + "-0a", suiteTrace, suiteSpan,
			false, true, "00-" + suiteTrace + "-" + suiteSpan + "-02"},
		{"higher version", "cc-" + suiteTrace + "-" + suiteSpan + "-01", suiteTrace, suiteSpan,
			true, false, "00-" + suiteTrace + "-" + suiteSpan + "-01"},
		{"higher version with more", "cc-" + suiteTrace + "-" + suiteSpan +
			"-01-what-the-future-will-be-like", suiteTrace, suiteSpan, true, false,
			"00-" + suiteTrace + "-" + suiteSpan + "-01"},
		{"higher version with a last dash", "01-" + suiteTrace + "-" + suiteSpan + "-01-",
			suiteTrace, suiteSpan, true, false, "00-" + suiteTrace + "-" + suiteSpan + "-01"},
		{"higher version: only sampled is known", "fe-" + suiteTrace + "-" + suiteSpan + "-ff",
			suiteTrace, suiteSpan, true, false, "00-" + suiteTrace + "-" + suiteSpan + "-01"},
		{"trace-id of 8 bytes", "00-0000000000000000" + suiteSpan + "-" + suiteSpan + "-01",
			"0000000000000000" + suiteSpan, suiteSpan, true, false,
			"00-0000000000000000" + suiteSpan + "-" + suiteSpan + "-01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := reqid.ParseTraceParent(tt.in)
			require.NoError(t, err)
			assert.Equal(t, tt.trace, got.TraceID(), "trace-id")
			assert.Equal(t, tt.parent, got.ParentID(), "parent-id")
			assert.Equal(t, tt.sampled, got.Sampled(), "sampled")
			assert.Equal(t, tt.random, got.Random(), "random")
			assert.Equal(t, tt.out, got.String())
		})
	}
}

var badTraceParents = []struct{ name, in, want string }{
	{"empty", "", "at least 55"},
	{"version 00 with more", "00-" + suiteTrace + "-" + suiteSpan + "-01.", "exactly 55"},
	{"version 00 with a future", "00-" + suiteTrace + "-" + suiteSpan +
		"-01-what-the-future-will-be-like", "exactly 55"},
	{"higher version without a dash", "cc-" + suiteTrace + "-" + suiteSpan +
		"-01.what-the-future-will-be-like", "dash after the flags"},
	{"higher version too short", "cc-" + suiteTrace + "-" + suiteSpan + "-0", "at least 55"},
	{"version ff", "ff-" + suiteTrace + "-" + suiteSpan + "-01", "ff is forbidden"},
	{"version ff with more", "ff-" + suiteTrace + "-" + suiteSpan + "-01-x", "ff is forbidden"},
	{"version .0", ".0-" + suiteTrace + "-" + suiteSpan + "-01", "version is not"},
	{"version 0.", "0.-" + suiteTrace + "-" + suiteSpan + "-01", "version is not"},
	{"version in upper case", "CC-" + suiteTrace + "-" + suiteSpan + "-01", "version is not"},
	{"version of 3", "000-" + suiteTrace + "-" + suiteSpan + "-01", "2, 32, 16 and 2"},
	{"version of 4", "0000-" + suiteTrace + "-" + suiteSpan + "-01", "2, 32, 16 and 2"},
	{"version of 1", "0-" + suiteTrace + "-" + suiteSpan + "-01", "at least 55"},
	{"trace-id zero", "00-" + strings.Repeat("0", 32) + "-" + suiteSpan + "-01",
		"trace-id is zero"},
	{"trace-id begins wrong", "00-.2345678901234567890123456789012-" + suiteSpan + "-01",
		"trace-id is not"},
	{"trace-id ends wrong", "00-1234567890123456789012345678901.-" + suiteSpan + "-01",
		"trace-id is not"},
	{"trace-id in upper case", "00-" + strings.ToUpper(specTrace) + "-" + suiteSpan + "-01",
		"trace-id is not"},
	{"trace-id too long", "00-" + suiteTrace + "3-" + suiteSpan + "-01", "2, 32, 16 and 2"},
	{"trace-id too short", "00-" + suiteTrace[1:] + "-" + suiteSpan + "-01", "at least 55"},
	{"parent-id zero", "00-" + suiteTrace + "-0000000000000000-01", "parent-id is zero"},
	{"parent-id begins wrong", "00-" + suiteTrace + "-.234567890123456-01", "parent-id is not"},
	{"parent-id ends wrong", "00-" + suiteTrace + "-123456789012345.-01", "parent-id is not"},
	{"parent-id in upper case", "00-" + suiteTrace + "-00F067AA0BA902B7-01", "parent-id is not"},
	{"parent-id too long", "00-" + suiteTrace + "-" + suiteSpan + "7-01", "2, 32, 16 and 2"},
	{"parent-id too short", "00-" + suiteTrace + "-" + suiteSpan[1:] + "-01", "at least 55"},
	{"flags .0", "00-" + suiteTrace + "-" + suiteSpan + "-.0", "flags are not"},
	{"flags 0.", "00-" + suiteTrace + "-" + suiteSpan + "-0.", "flags are not"},
	{"flags in upper case", "00-" + suiteTrace + "-" + suiteSpan + "-0A", "flags are not"},
	{"flags of 3", "00-" + suiteTrace + "-" + suiteSpan + "-001", "exactly 55"},
	{"flags of 1", "00-" + suiteTrace + "-" + suiteSpan + "-1", "at least 55"},
	{"space before", " 00-" + suiteTrace + "-" + suiteSpan + "-01", "2, 32, 16 and 2"},
	{"space after", "00-" + suiteTrace + "-" + suiteSpan + "-01 ", "exactly 55"},
	{"underscore after the version", "00_" + suiteTrace + "-" + suiteSpan + "-01",
		"2, 32, 16 and 2"},
	{"underscore after the trace-id", "00-" + suiteTrace + "_" + suiteSpan + "-01",
		"2, 32, 16 and 2"},
	{"underscore after the parent-id", "00-" + suiteTrace + "-" + suiteSpan + "_01",
		"2, 32, 16 and 2"},
	{"underscores", "00_" + suiteTrace + "_" + suiteSpan + "_01", "2, 32, 16 and 2"},
}

func TestParseTraceParentRefuses(t *testing.T) {
	for _, tt := range badTraceParents {
		t.Run(tt.name, func(t *testing.T) {
			got, err := reqid.ParseTraceParent(tt.in)
			require.ErrorIs(t, err, reqid.ErrInvalidTraceParent)
			assert.ErrorContains(t, err, tt.want)
			assert.Zero(t, got)
			assert.Empty(t, got.String())
		})
	}
}

func FuzzParseTraceParent(f *testing.F) {
	for _, tt := range badTraceParents {
		f.Add(tt.in)
	}
	f.Add("00-" + specTrace + "-" + specParent + "-ff")
	f.Add("cc-" + suiteTrace + "-" + suiteSpan + "-01-what-the-future-will-be-like")
	shape := regexp.MustCompile(`\A([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?s:(-.*)?)\z`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := reqid.ParseTraceParent(s)
		m := shape.FindStringSubmatch(s)
		want := m != nil && m[1] != "ff" && (m[1] != "00" || m[5] == "") &&
			strings.Trim(m[2], "0") != "" && strings.Trim(m[3], "0") != ""
		if want != (err == nil) {
			t.Fatalf("ParseTraceParent(%q): got %v, want accepted: %v", s, err, want)
		}
		if err != nil {
			if text := err.Error(); len(text) > 600 ||
				strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("got error text %q, want a short line", text)
			}
			return
		}
		var flags byte
		if _, err := fmt.Sscanf(m[4], "%x", &flags); err != nil {
			t.Fatal(err)
		}
		if got.TraceID() != m[2] || got.ParentID() != m[3] || got.Sampled() != (flags&1 == 1) {
			t.Fatalf("ParseTraceParent(%q): got %v", s, got)
		}
		again, err := reqid.ParseTraceParent(got.String())
		if err != nil || again != got {
			t.Fatalf("round trip of %q: got %v and %v, want %v", s, again, err, got)
		}
	})
}

func TestTraceParentInJSON(t *testing.T) {
	tp, err := reqid.ParseTraceParent(traceParent)
	require.NoError(t, err)
	data, err := json.Marshal([]reqid.TraceParent{tp, {}})
	require.NoError(t, err)
	assert.Equal(t, `["`+traceParent+`",""]`, string(data))
}
