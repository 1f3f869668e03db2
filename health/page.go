package health

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the style sheet
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// A page is a view for people. It is written by hand, as those of net/http/pprof are: html/template
// would keep the linker from dropping unused methods in every program that has a health check.
// Everything that is not a constant, a number or a valid name goes through html.EscapeString.
type page struct {
	view
	served   Kind          // by other handlers
	age      time.Duration // of the registry
	path     string        // of the request, as the browser knows it
	params   url.Values
	first    int           // of the checks that are shown
	shown    []CheckReport // at most pageLen
	endpoint string        // the name of the endpoint in the path
}

const (
	pageLen      = 200 // checks; each has some kilobytes
	refreshEvery = 5   // seconds
)

//go:embed page.css
var pageStyle string

// pagePolicy allows the page its style sheet and its icon, and nothing else.
var pagePolicy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
})

// newPage chooses the checks to show. If there are several pages, those that are not up come first.
func newPage(v view, r *Registry, req *http.Request, params url.Values) *page {
	p := &page{view: v, age: v.now.Sub(r.created), params: params, path: req.URL.EscapedPath()}
	if requested, _, _ := strings.Cut(req.RequestURI, "?"); strings.HasPrefix(requested, "/") {
		p.path = requested // http.StripPrefix does not change it
	}
	endpoint := path.Clean(p.path)
	if v.only != "" {
		endpoint = path.Dir(endpoint)
	}
	p.endpoint = path.Base(endpoint)
	r.mu.Lock()
	p.served = r.served
	r.mu.Unlock()

	if len(p.Checks) > pageLen {
		slices.SortStableFunc(p.Checks, func(a, b CheckReport) int {
			return cmp.Compare(urgency[a.State], urgency[b.State])
		})
		number, _ := strconv.Atoi(params.Get("page")) // anything else is the first
		last := (len(p.Checks) - 1) / pageLen
		p.first = min(max(number-1, 0), last) * pageLen
	}
	p.shown = slices.Clone(p.Checks[p.first:min(p.first+pageLen, len(p.Checks))])
	r.histories(p.shown)
	return p
}

var urgency = map[State]int{Down: 0, Pending: 1, Up: 2}

// The shapes differ as the colours do, for those who cannot tell the colours apart.
var icons = map[State]string{
	Up:       `M7 12.5l3.3 3.3L17 9`,
	Down:     `M8.5 8.5l7 7m0-7l-7 7`,
	Pending:  `M12 7v5.5l3.5 2`,
	Draining: `M12 6.5v10m-4-4l4 4l4-4`,
}

// iconColours are those of the tab, which no style sheet reaches.
var iconColours = map[State]string{
	Up: "#30a46c", Down: "#e5484d", Pending: "#e2a336", Draining: "#5b8def",
}

func (p *page) write(b *bytes.Buffer) {
	b.Grow((2 + len(p.shown)) * 5 << 10)
	title := p.Kind.String() + ": " + p.State.String()
	if p.only != "" {
		title = p.only + ": " + p.State.String()
	}
	if p.service != "" {
		title += " · " + p.service
	}
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
`, refreshEvery, html.EscapeString(title), html.EscapeString(p.tabIcon()), pageStyle)
	p.writeTop(b)
	for _, name := range p.unknown {
		fmt.Fprintf(b, "<p class=\"note\">Asked to exclude %s, but no check here has that name.</p>\n",
			html.EscapeString(name))
	}
	if len(p.shown) > 0 {
		b.WriteString("<ul>\n")
		for _, c := range p.shown {
			p.writeCheck(b, c)
		}
		b.WriteString("</ul>\n")
	}
	p.writePager(b)
	now := p.now.UTC()
	fmt.Fprintf(b, `<footer>As of <time datetime="%s">%s</time>, refreshed every %d seconds.</footer>
</main>
</body>
</html>
`, now.Format(time.RFC3339), now.Format("2006-01-02 15:04:05 UTC"), refreshEvery)
}

// writeTop writes whose page it is, the links to the endpoints, and the state of this one.
func (p *page) writeTop(b *bytes.Buffer) {
	b.WriteString("<div class=\"top\">\n<p>")
	if p.service != "" {
		fmt.Fprintf(b, "<strong>%s</strong> %s ", html.EscapeString(p.service),
			html.EscapeString(p.version))
	}
	if p.host != "" {
		fmt.Fprintf(b, "on %s, ", html.EscapeString(p.host))
	}
	fmt.Fprintf(b, "started %s ago</p>\n<nav>", coarse(p.age))
	for _, name := range p.endpoints() {
		if name == p.endpoint && p.only == "" {
			fmt.Fprintf(b, "<b>%s</b>\n", html.EscapeString(name))
		} else {
			fmt.Fprintf(b, "<a href=\"%s%s\">%[2]s</a>\n", p.up(), html.EscapeString(name))
		}
	}
	fmt.Fprintf(b, `</nav>
</div>
<header class="%v">
%s
<div><h1>%s</h1><p>%s</p></div>
</header>
`, p.State, icon(p.State), headlines[p.State], p.summary())
}

// endpoints returns the names of the endpoints to link to. Nobody tells a handler where the others
// are mounted, so it looks for the usual names.
func (p *page) endpoints() (names []string) {
	for _, family := range [][]string{{"livez", "readyz", "startupz"}, kindNames[:]} {
		for i, name := range family {
			if p.served&(1<<i) != 0 && slices.Contains(family, p.endpoint) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 && p.only != "" && p.endpoint != "/" {
		names = []string{p.endpoint}
	}
	return names
}

// up is the relative path to the directory in which the endpoint is. Links are relative because a
// proxy may have changed the path.
func (p *page) up() string {
	switch below, slash := p.only != "", strings.HasSuffix(p.path, "/"); {
	case below && slash:
		return "../../"
	case below || slash:
		return "../"
	}
	return "./"
}

// down is the relative path to the single checks.
func (p *page) down() string {
	if strings.HasSuffix(p.path, "/") {
		return "./"
	}
	return "./" + p.endpoint + "/"
}

var headlines = map[State]string{Up: "Up", Down: "Down", Pending: "Pending", Draining: "Draining"}

// summary is the headline in a sentence.
func (p *page) summary() string {
	switch {
	case p.only != "":
		return "The " + p.Kind.String() + " check " + p.only + "."
	case p.State == Draining:
		return "The service is about to stop and wants no further requests."
	case p.idle && p.State == Pending:
		return "The checks have not been started."
	case len(p.Checks) == 0:
		return "There are no " + p.Kind.String() + " checks: the answer itself is the proof."
	}
	up, count := 0, map[string]int{}
	for _, c := range p.Checks {
		switch text := c.State.String(); {
		case c.State == Up:
			up++
		case c.Optional:
			count[text+" but optional"]++
		default:
			count[text]++
		}
	}
	parts := []string{fmt.Sprintf("%d of %d %v checks up", up, len(p.Checks), p.Kind)}
	for _, what := range []string{"down", "pending", "down but optional", "pending but optional"} {
		if n := count[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	return strings.Join(parts, ", ") + "."
}

func (p *page) writeCheck(b *bytes.Buffer, c CheckReport) {
	name := html.EscapeString(c.Name)
	if p.only == "" {
		name = `<a href="` + html.EscapeString(p.down()) + name + `">` + name + `</a>`
	}
	if c.Optional {
		name += " <small>optional</small>"
	}
	if c.progress != "" {
		name += ` <small class="progress">` + c.progress + `</small>`
	}
	fmt.Fprintf(b, `<li class="%v">
<h2>%s</h2>
<span class="state">%s%v</span>
<span class="since">for <time datetime="%s" title="since %[5]s">%[6]s</time></span>
<span class="took">%[7]s</span>
`, c.State, name, icon(c.State), c.State, c.Since.UTC().Format(time.RFC3339),
		coarse(p.now.Sub(c.Since)), took(c, p.now))
	writeRuns(b, c.History)
	if text := p.errorText(c); text != "" {
		fmt.Fprintf(b, "<p class=\"error\">%s</p>\n", html.EscapeString(text))
	}
	b.WriteString("</li>\n")
}

// took says what the check is doing, if that is worth saying, or how long its last run took.
func took(c CheckReport, now time.Time) string {
	last := c.Last()
	switch running := now.Sub(c.Running); {
	case !c.Running.IsZero() && (last.Time.IsZero() || running >= time.Second):
		return "running for " + coarse(running)
	case last.Time.IsZero():
		return "not run yet"
	}
	return "took " + oneline.Round(last.Duration).String()
}

// writePager links to the checks that do not fit on the page.
func (p *page) writePager(b *bytes.Buffer) {
	if len(p.Checks) <= pageLen {
		return
	}
	fmt.Fprintf(b, "<nav class=\"pager\">Checks %d to %d of %d\n",
		p.first+1, p.first+len(p.shown), len(p.Checks))
	link := func(first int, text string) {
		if first < 0 || first >= len(p.Checks) {
			return
		}
		p.params.Set("page", strconv.Itoa(first/pageLen+1))
		fmt.Fprintf(b, "<a href=\"?%s\">%s</a>\n", html.EscapeString(p.params.Encode()), text)
	}
	link(p.first-pageLen, "previous")
	link(p.first+pageLen, "next")
	b.WriteString("</nav>\n")
}

func icon(s State) string {
	return `<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">` +
		`<circle cx="12" cy="12" r="11"/><path d="` + icons[s] + `"/></svg>`
}

func (p *page) tabIcon() string {
	return "data:image/svg+xml," + url.PathEscape(`<svg xmlns="http://www.w3.org/2000/svg" `+
		`viewBox="0 0 24 24"><circle cx="12" cy="12" r="11" fill="`+iconColours[p.State]+
		`"/><path d="`+icons[p.State]+`" fill="none" stroke="#fff" stroke-width="2.5" `+
		`stroke-linecap="round"/></svg>`)
}
