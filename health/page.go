package health

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the style sheet
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// The page is written by hand, as those of net/http/pprof are: html/template would keep the linker from
// dropping unused methods in every program that has a health check. Whatever is not a constant, a number or a
// valid name goes through html.EscapeString.

//go:embed page.css
var pageStyle string

// pagePolicy allows the page its style sheet and its icon, and nothing else.
var pagePolicy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
})

// refreshEvery is in seconds.
const refreshEvery = 5

// The shapes differ as the colours do, for those who cannot tell the colours apart.
var icons = map[State]string{
	Up:       `M7 12.5l3.3 3.3L17 9`,
	Down:     `M8.5 8.5l7 7m0-7l-7 7`,
	Pending:  `M12 7v5.5l3.5 2`,
	Draining: `M12 6.5v10m-4-4l4 4l4-4`,
}

// iconColours are those of the tab, where no style sheet reaches.
var iconColours = map[State]string{Up: "#30a46c", Down: "#e5484d", Pending: "#e2a336", Draining: "#5b8def"}

func (v view) writePage(b *bytes.Buffer) {
	title := v.Kind.String() + ": " + v.State.String()
	fmt.Fprintf(b, `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="%d">
<title>%s</title>
<link rel="icon" href="%s">
<style>%s</style>
</head>
<body>
<main>
<header class="%v">
%s
<div><h1>%s</h1><p>%s</p></div>
</header>
`, refreshEvery, title, html.EscapeString(v.tabIcon()), pageStyle, v.State, icon(v.State), v.headline(), v.summary())
	for _, name := range v.unknown {
		fmt.Fprintf(b, "<p class=\"note\">Asked to exclude %s, but no check here has that name.</p>\n", html.EscapeString(name))
	}
	b.WriteString("<ul>\n")
	for _, c := range v.Checks {
		v.writeCheck(b, c)
	}
	if len(v.Checks) == 0 {
		b.WriteString("<li class=\"none-yet\">There are no checks here: the answer itself is the proof.</li>\n")
	}
	fmt.Fprintf(b, "</ul>\n<footer>As of <time datetime=\"%s\">%s</time>, refreshed every %d seconds.</footer>\n</main>\n</body>\n</html>\n",
		v.now.UTC().Format(time.RFC3339), v.now.UTC().Format("2006-01-02 15:04:05 UTC"), refreshEvery)
}

func (v view) writeCheck(b *bytes.Buffer, c CheckReport) {
	optional := ""
	if c.Optional {
		optional = " <small>optional</small>"
	}
	took := "not run yet"
	if last := c.Last(); !last.Time.IsZero() {
		took = "took " + oneline.Round(last.Duration).String()
	}
	fmt.Fprintf(b, `<li class="%v">
<h2>%s%s</h2>
<span class="state">%s%v</span>
<span class="since">for <time datetime="%s" title="since %[6]s">%[7]s</time></span>
<span class="took" title="duration of the last run">%s</span>
%s
`, c.State, html.EscapeString(c.Name), optional, icon(c.State), c.State,
		c.Since.UTC().Format(time.RFC3339), coarse(v.now.Sub(c.Since)), took, sparkline(c.History))
	if text := v.errorText(c); text != "" {
		fmt.Fprintf(b, "<p class=\"error\">%s</p>\n", html.EscapeString(text))
	}
	b.WriteString("</li>\n")
}

func (v view) headline() string {
	return map[State]string{Up: "Up", Down: "Down", Pending: "Pending", Draining: "Draining"}[v.State]
}

// summary is the headline in a sentence.
func (v view) summary() string {
	if v.State == Draining {
		return "The service is about to stop and wants no further requests."
	}
	if v.idle && v.State == Pending {
		return "The checks have not been started."
	}
	count := map[State]int{}
	for _, c := range v.Checks {
		count[c.State]++
	}
	text := fmt.Sprintf("%d of %d %v checks up", count[Up], len(v.Checks), v.Kind)
	for _, state := range []State{Down, Pending} {
		if n := count[state]; n > 0 {
			text += fmt.Sprintf(", %d %v", n, state)
		}
	}
	return text + "."
}

func icon(s State) string {
	return `<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="11"/><path d="` + icons[s] + `"/></svg>`
}

func (v view) tabIcon() string {
	return "data:image/svg+xml," + url.PathEscape(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="11" fill="`+
		iconColours[v.State]+`"/><path d="`+icons[v.State]+`" fill="none" stroke="#fff" stroke-width="2.5" stroke-linecap="round"/></svg>`)
}

// sparkline draws a bar for each result, as high as it took long beside the longest, the newest on the right.
func sparkline(history []Result) string {
	const width, height, least = 6, 32, 6
	var longest time.Duration
	failed := 0
	for _, result := range history {
		longest = max(longest, result.Duration)
		if result.Err != nil {
			failed++
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg class="spark" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%d recent runs, %d failed">`,
		historyLen*width, height, len(history), failed)
	for i := range historyLen {
		x := i * width
		missing := historyLen - len(history)
		if i < missing {
			fmt.Fprintf(&b, `<rect class="none" x="%d" y="%d" width="%d" height="2"/>`, x, height-2, width-2)
			continue
		}
		result := history[i-missing]
		class := "ok"
		if result.Err != nil {
			class = "failed"
		}
		high := height
		if longest > 0 {
			high = least + int((height-least)*result.Duration/longest)
		}
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d"><title>%s, %v</title></rect>`,
			class, x, height-high, width-2, high,
			result.Time.UTC().Format("15:04:05 UTC"), oneline.Round(result.Duration))
	}
	b.WriteString("</svg>")
	return b.String()
}

// coarse gives a duration in its two largest units.
func coarse(d time.Duration) string {
	seconds := max(0, int(d/time.Second))
	switch {
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
