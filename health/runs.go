package health

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// writeRuns draws a bar for each result, the newest on the right. Its height is its duration beside
// the longest one, which the scale below names.
func writeRuns(b *bytes.Buffer, history []Result) {
	const width, height, least = 6, 32, 6
	var longest time.Duration
	failed := 0
	for _, result := range history {
		longest = max(longest, result.Duration)
		if result.Err != nil {
			failed++
		}
	}
	fmt.Fprintf(b, `<div class="runs"><svg class="spark" viewBox="0 0 %d %d" `+
		`preserveAspectRatio="none" role="img" aria-label="%d recent runs, %d failed">`,
		historyLen*width, height, len(history), failed)
	bar := func(i int, class string, high int) { // without fmt, as bars are most of the page
		attributes := [...]struct {
			name  string
			value int
		}{{"x", i * width}, {"y", height - high}, {"width", width - 2}, {"height", high}}
		b.WriteString(`<rect class="` + class)
		for _, a := range attributes {
			b.WriteString(`" ` + a.name + `="`)
			b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(a.value), 10))
		}
	}
	missing := historyLen - len(history)
	for i := range missing {
		bar(i, "none", 2)
		b.WriteString(`"/>`)
	}
	for i, result := range history {
		class, high := "ok", height
		if result.Err != nil {
			class = "failed"
		}
		if longest > 0 {
			high = least + int((height-least)*result.Duration/longest)
		}
		bar(missing+i, class, high)
		b.WriteString(`"><title>`)
		b.Write(result.Time.UTC().AppendFormat(b.AvailableBuffer(), "15:04:05 UTC, "))
		b.WriteString(oneline.Round(result.Duration).String() + "</title></rect>")
	}
	b.WriteString("</svg>")
	if n := len(history); n > 0 {
		took := history[n-1].Time.Add(history[n-1].Duration).Sub(history[0].Time)
		fmt.Fprintf(b, `<span class="scale"><span>runs: %d in %v</span><span>highest %v</span></span>`,
			n, coarse(took), oneline.Round(longest))
	}
	b.WriteString("</div>\n")
}

// coarse gives a duration in its two largest units.
func coarse(d time.Duration) string {
	seconds := max(0, int(d/time.Second))
	switch {
	case 0 < d && d < time.Second:
		return oneline.Round(d).String()
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 60*60:
		return fmt.Sprintf("%dm %ds", seconds/60, seconds%60)
	case seconds < 24*60*60:
		return fmt.Sprintf("%dh %dm", seconds/3600, seconds/60%60)
	default:
		return fmt.Sprintf("%dd %dh", seconds/86400, seconds/3600%24)
	}
}
