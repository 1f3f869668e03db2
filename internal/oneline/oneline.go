// Package oneline formats text from outside for one line of a log, a terminal or a table.
package oneline

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Escape returns s with everything escaped that is not printable: line breaks, control sequences of
// a terminal, bytes that are not UTF-8. Names and errors may hold text from a client.
func Escape(s string) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsPrint(c) {
			b.WriteRune(c)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		}
	}
	return b.String()
}

// First returns the first line of s, escaped. The other lines of an error are the stack of a panic,
// or errors that are joined to it.
func First(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return Escape(line)
}

// Round rounds d to three digits: 1.234567s to 1.23s, 309.07ms to 309ms.
func Round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 || d/unit <= -1000 {
		unit *= 10
	}
	return d.Round(unit)
}
