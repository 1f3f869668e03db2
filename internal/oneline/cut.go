package oneline

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Cut returns s if it has at most limit bytes. Else it returns as many of its characters as fit
// into limit bytes, and "…", which comes on top.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:boundary(s, limit)] + "…"
}

// Quote returns s, of which nothing is known, as ASCII in quotes, for the text of an error. Of one
// that has more than limit bytes it shows the beginning, and how many bytes there are.
func Quote(s string, limit int) string {
	if len(s) <= limit {
		return strconv.QuoteToASCII(s)
	}
	return fmt.Sprintf("%s... (%d bytes)", strconv.QuoteToASCII(s[:boundary(s, limit)]), len(s))
}

// boundary returns limit, or up to three less if a character of s, which is longer, would be split.
func boundary(s string, limit int) int {
	cut := limit
	for cut > 0 && cut > limit-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return cut
}
