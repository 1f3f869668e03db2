package oneline

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Cut returns s if it has at most limit bytes. Otherwise it returns as many of its characters as
// fit into limit bytes, followed by "…", which does not count.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:boundary(s, limit)] + "…"
}

// Quote returns s in quotes and ASCII, for the text of an error: s may hold anything. If s has more
// than limit bytes, only its beginning and its length are shown.
func Quote(s string, limit int) string {
	if len(s) <= limit {
		return strconv.QuoteToASCII(s)
	}
	return fmt.Sprintf("%s... (%d bytes)", strconv.QuoteToASCII(s[:boundary(s, limit)]), len(s))
}

// boundary returns limit, or up to three less so as not to split a character of s. s is longer than
// limit.
func boundary(s string, limit int) int {
	cut := limit
	for cut > 0 && cut > limit-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return cut
}
