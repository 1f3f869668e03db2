package oneline_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/internal/oneline"
)

func TestCut(t *testing.T) {
	tests := []struct {
		name, s string
		limit   int
		want    string
	}{
		{"empty", "", 0, ""},
		{"as long as may be", "abcd", 4, "abcd"},
		{"too long", "abcde", 4, "abcd…"},
		{"nothing fits", "世界", 2, "…"},
		{"a character would be split", "a世界", 5, "a世…"},
		{"a character ends there", "a世界", 4, "a世…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, oneline.Cut(tt.s, tt.limit))
		})
	}
}

func TestQuote(t *testing.T) {
	tests := []struct {
		name, s string
		limit   int
		want    string
	}{
		{"empty", "", 4, `""`},
		{"plain", "abcd", 4, `"abcd"`},
		{"too long", "abcde", 4, `"abcd"... (5 bytes)`},
		{"a character would be split", "ab世", 4, `"ab"... (5 bytes)`},
		{"control characters", "a\n\x1b", 4, `"a\n\x1b"`},
		{"not UTF-8", "\x80\x80\x80\x80\x80\x80", 5, `"\x80"... (6 bytes)`},
		{"not ASCII", "é", 4, `"\u00e9"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, oneline.Quote(tt.s, tt.limit))
		})
	}
}

func FuzzCut(f *testing.F) {
	f.Add("a世界", 3)
	f.Add("\x80\x80\x80\x80\x80", 4)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > len(s)+1 {
			return
		}
		got := oneline.Cut(s, limit)
		kept := strings.TrimSuffix(got, "…")
		if len(s) <= limit {
			kept = got
		}
		assert.True(t, strings.HasPrefix(s, kept), "Cut(%q, %d) = %q", s, limit, got)
		assert.LessOrEqual(t, len(kept), limit)
		assert.Equal(t, len(s) <= limit, len(kept) == len(s))
		if utf8.ValidString(s) {
			assert.True(t, utf8.ValidString(got), "Cut(%q, %d) = %q", s, limit, got)
		}
	})
}
