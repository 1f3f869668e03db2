package health_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

func TestHandlerPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mixed(t)
		time.Sleep(25 * time.Hour)
		for _, accept := range []string{browserAccept, "text/html"} {
			w := get(r.Handler(health.Ready, health.Details(), health.Service("shop", "v1")),
				"/readyz?exclude=%3Cscript%3E", accept)
			assert.Equal(t, 503, w.Code)
			assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
			assert.Contains(t, w.Header().Get("Content-Security-Policy"),
				"default-src 'none'; style-src 'sha256-")
			body := w.Body.String()
			for _, want := range []string{
				"<title>ready: down · shop</title>", `<h2><a href="./readyz/mysql">mysql</a></h2>`,
				"mail</a> <small>optional</small>", ">1d 1h<", "<h1>Down</h1>",
				"panic: s3cret &lt;b&gt;", "Asked to exclude &#34;&lt;script&gt;&#34;",
				"40 recent runs, 40 failed", `<html lang="en">`,
				"<p>1 of 4 ready checks up, 2 down, 1 down but optional.</p>",
			} {
				assert.Contains(t, body, want)
			}
			assert.NotContains(t, body, "st4ck")
			assert.NotContains(t, strings.ToLower(body), "<script")
			assert.NotContains(t, strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), "http://",
				"nothing from elsewhere")
		}
		assert.NotContains(t, get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String(),
			"s3cret")
		assert.Contains(t, get(r.Handler(health.Live), "/readyz", browserAccept).Body.String(),
			"<h1>Up</h1>")
		assert.Contains(t, get(r.Handler(health.Startup), "/readyz", browserAccept).Body.String(),
			"There are no startup checks")
		r.Drain()
		assert.Contains(t, get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String(),
			"<h1>Draining</h1>")
	})
	w := get(newRegistry(t, health.Check{Name: "db",
		Probe: new(switchable).probe}).Handler(health.Ready), "/readyz", browserAccept)
	assert.Contains(t, w.Body.String(), "<h1>Pending</h1><p>The checks have not been started.</p>")
}

func TestHandlerPageAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db",
			Probe: func(context.Context) error { time.Sleep(time.Millisecond); return nil }})
		h := r.Handler(health.Ready)
		start(t, r)
		<-r.Ready()
		passed := time.Duration(0)
		for _, tt := range []struct {
			after time.Duration
			want  string
		}{{59 * time.Second, "59s"}, {61 * time.Second, "1m 1s"},
			{3*time.Hour + 2*time.Minute, "3h 2m"}, {49 * time.Hour, "2d 1h"}} {
			time.Sleep(tt.after - passed)
			passed = tt.after
			assert.Contains(t, get(h, "/readyz", browserAccept).Body.String(), ">"+tt.want+"</time>")
		}
		assert.Contains(t, get(h, "/readyz", browserAccept).Body.String(), ">took 1ms</span>")
	})
}

// The bars of the page: the newest result on the right, as high as it took long, and a failure is
// told from a success.
func TestHandlerPageBars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		r := newRegistry(t, health.Check{Name: "db", Period: time.Minute, Timeout: 30 * time.Second,
			Failures: 9, Probe: func(context.Context) error {
				runs++
				time.Sleep(time.Duration(runs) * 4 * time.Second)
				if runs == 2 {
					return errBad
				}
				return nil
			}})
		start(t, r)
		bars := func() (all [][]string) {
			body := get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String()
			rect := regexp.MustCompile(`<rect class="(\w+)" x="(\d+)" y="(\d+)" width="(\d+)" ` +
				`height="(\d+)"/?>(?:<title>[^,<]*, (\w+)</title>)?`)
			return rect.FindAllStringSubmatch(body, -1)
		}
		time.Sleep(time.Second)
		for i, bar := range bars() {
			assert.Equal(t, []string{"none", strconv.Itoa(6 * i), "30", "4", "2", ""}, bar[1:],
				"nothing has run")
		}
		time.Sleep(2*time.Minute + 30*time.Second)
		got := bars()
		require.Len(t, got, 40)
		assert.Equal(t, []string{"none", "216", "30", "4", "2", ""}, got[36][1:])
		assert.Equal(t, []string{"ok", "222", "18", "4", "14", "4s"}, got[37][1:],
			"6 of 32, and a third of the other 26")
		assert.Equal(t, []string{"failed", "228", "9", "4", "23", "8s"}, got[38][1:])
		assert.Equal(t, []string{"ok", "234", "0", "4", "32", "12s"}, got[39][1:], "the longest")
	})
}

func TestPageSaysWhoseItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t)
		time.Sleep(3*time.Hour + 2*time.Minute)
		host, err := os.Hostname()
		require.NoError(t, err)
		body := get(r.Handler(health.Ready, health.Service("<shop>", "v1.2")), "/readyz",
			browserAccept).Body.String()
		assert.Contains(t, body,
			"<p><strong>&lt;shop&gt;</strong> v1.2 on "+html.EscapeString(host)+", started 3h 2m ago</p>")
		assert.Contains(t, body, "<title>ready: up · &lt;shop&gt;</title>")
		body = get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String()
		assert.Contains(t, body, "<strong>health.test</strong>", "what the build says")
	})
}

func TestPageLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := health.Live | health.Ready | health.Startup
		r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe, Kind: all})
		mux := http.NewServeMux()
		stripped := http.StripPrefix("/admin/ready", r.Handler(health.Ready))
		mux.Handle("/admin/ready/", stripped)
		for _, path := range []string{"/readyz", "/-/ready", "/w", "/readyz/{name}", "/-/ready/{name}",
			"/w/{name}"} {
			mux.Handle(path, r.Handler(health.Ready))
		}
		links := func(target string) (found []string) {
			req := httptest.NewRequest("GET", target, nil)
			req.Header.Set("Accept", "text/html")
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, req)
			require.Contains(t, w.Body.String(), "<!DOCTYPE html>")
			href := regexp.MustCompile(`href="([^"]*)"`)
			for _, match := range href.FindAllStringSubmatch(w.Body.String(), -1) {
				if link := html.UnescapeString(match[1]); !strings.HasPrefix(link, "data:") {
					found = append(found, must(must(url.Parse(target)).Parse(link)).String())
				}
			}
			return found
		}
		assert.Equal(t, []string{"/readyz/db"}, links("/readyz"), "the others have no handler")
		r.Handler(health.Live)
		r.Handler(health.Startup)
		for target, want := range map[string][]string{
			"/readyz":          {"/livez", "/startupz", "/readyz/db"},
			"/readyz?verbose":  {"/livez", "/startupz", "/readyz/db"},
			"/-/ready":         {"/-/live", "/-/startup", "/-/ready/db"},
			"/w":               {"/w/db"},
			"/admin/ready/":    {"/admin/live", "/admin/startup", "/admin/ready/db"},
			"/readyz/db":       {"/livez", "/readyz", "/startupz"},
			"/-/ready/db":      {"/-/live", "/-/ready", "/-/startup"},
			"/w/db":            {"/w"},
			"/admin/ready/db":  {"/admin/live", "/admin/ready", "/admin/startup"},
			"/admin/ready/db?": {"/admin/live", "/admin/ready", "/admin/startup"},
			"/admin/ready/db/": {"/admin/live", "/admin/ready", "/admin/startup"},
		} {
			assert.Equal(t, want, links(target), target)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The state is that of several results; the page shows how far the next state is.
func TestPageShowsWhatIsBelowTheThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Probe: s.probe, Failures: 3, Successes: 2})
		start(t, r)
		time.Sleep(30 * time.Second)
		progress := func() string {
			body := get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String()
			match := regexp.MustCompile(`<small class="progress">([^<]*)</small>`).FindStringSubmatch(body)
			if match == nil {
				return ""
			}
			return match[1]
		}
		var got []string
		for i := range 8 {
			got = append(got, state(r).String()+" "+progress())
			s.down.Store(i < 3)
			time.Sleep(10 * time.Second)
		}
		assert.Equal(t, []string{
			"up ", "up 1 of 3 failures", "up 2 of 3 failures", "down ", "down 1 of 2 successes", "up ",
			"up ", "up ",
		}, got)
	})
}

// The headline is about what counts, so the sentence below tells what does not.
func TestPageSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok, fail := new(switchable).probe, func(context.Context) error { return errBad }
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r := newRegistry(t,
			health.Check{Name: "up", Probe: ok},
			health.Check{Name: "pending", Probe: hang, Timeout: time.Hour},
			health.Check{Name: "optional", Probe: fail, Failures: 1, Optional: true},
			health.Check{Name: "optional-too", Probe: hang, Timeout: time.Hour, Optional: true},
		)
		start(t, r)
		time.Sleep(10 * time.Millisecond)
		body := get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String()
		assert.Contains(t, body,
			"<h1>Pending</h1><p>1 of 4 ready checks up, 1 pending, "+
				"1 down but optional, 1 pending but optional.</p>")
		body = get(r.Handler(health.Live), "/readyz", browserAccept).Body.String()
		assert.Contains(t, body,
			"<h1>Up</h1><p>There are no live checks: the answer itself is the proof.</p>")
		body = get(r.Handler(health.Ready), "/readyz/up", browserAccept).Body.String()
		assert.Contains(t, body, "<h1>Up</h1><p>The ready check up.</p>")
	})
}

func TestPageScale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		r := newRegistry(t, health.Check{Name: "db", Timeout: time.Hour,
			Probe: func(context.Context) error {
				runs++
				time.Sleep(time.Duration(runs) * 1111 * time.Millisecond)
				return nil
			}})
		start(t, r)
		time.Sleep(25 * time.Second)
		body := get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String()
		assert.Contains(t, body,
			`<span class="scale"><span>runs: 3 in 23s</span><span>highest 3.33s</span></span>`)
	})
}

// A page has at most 200 checks, those that are not up first.
func TestPageOf3000Checks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t)
		for i := range 3000 {
			probe := new(switchable)
			probe.down.Store(i == 2998)
			require.NoError(t, r.Add(health.Check{Name: fmt.Sprint("c", i), Probe: probe.probe,
				Failures: 1}))
		}
		start(t, r)
		time.Sleep(30 * time.Second)
		show := func(query string) (names []string, body string) {
			body = get(r.Handler(health.Ready), "/readyz"+query, browserAccept).Body.String()
			for _, match := range regexp.MustCompile(`<h2><a[^>]*>([^<]*)<`).FindAllStringSubmatch(body,
				-1) {
				names = append(names, match[1])
			}
			return names, body
		}
		names, body := show("?exclude=c0")
		require.Len(t, names, 200)
		assert.Equal(t, []string{"c2998", "c1", "c2"}, names[:3])
		assert.Contains(t, body, "<p>2998 of 2999 ready checks up, 1 down.</p>", "the summary is of all")
		assert.Contains(t, body,
			"Checks 1 to 200 of 2999\n<a href=\"?exclude=c0&amp;page=2\">next</a>\n</nav>")

		names, body = show("?page=15")
		require.Len(t, names, 200)
		assert.Equal(t, "c2999", names[199])
		assert.Contains(t, body, "<a href=\"?page=14\">previous</a>\n</nav>")
		for query, first := range map[string]string{
			"?page=16": "c2799", "?page=0": "c2998", "?page=-1": "c2998", "?page=x": "c2998",
			"?page=99999999999999999999": "c2799",
		} {
			names, _ := show(query)
			assert.Equal(t, first, names[0], query)
		}
		body = get(r.Handler(health.Ready), "/readyz", "application/json").Body.String()
		assert.Equal(t, 3000, strings.Count(body, `"name"`), "JSON has all of them")
	})
}
