package oneline_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/internal/oneline"
)

func TestFirst(t *testing.T) {
	tests := []struct{ name, s, want string }{
		{"plain", "connection lost", "connection lost"},
		{"empty", "", ""},
		{"several lines", "panic: boom\n\ngoroutine 1", "panic: boom"},
		{"escape sequence", "\x1b[2Jgone", `\x1b[2Jgone`},
		{"line separator", "a\u2028b", `a\u2028b`},
		{"letters of all scripts", "Müller 世界", "Müller 世界"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"carriage return", "a\rb", `a\rb`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, oneline.First(tt.s)) })
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\nb\x1b\u2028\xff'")
	f.Fuzz(func(t *testing.T, s string) {
		got := oneline.Escape(s)
		if strings.ContainsAny(got, "\n\r\x1b\u2028\u2029") || !utf8.ValidString(got) && utf8.ValidString(s) {
			t.Errorf("Escape(%q) = %q", s, got)
		}
	})
}

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0:                           0,
		999:                         999,
		1234567 * time.Nanosecond:   1230 * time.Microsecond,
		1234567 * time.Microsecond:  1230 * time.Millisecond,
		309070 * time.Microsecond:   309 * time.Millisecond,
		-1234567 * time.Microsecond: -1230 * time.Millisecond,
		12345 * time.Second:         12300 * time.Second,
	} {
		assert.Equal(t, want, oneline.Round(d), d.String())
	}
}
