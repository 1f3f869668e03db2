package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

// screenshots is a directory to keep what the browser showed, for people to look at.
const screenshots = "GRACEKIT_TEST_SCREENSHOTS"

func TestHealthPage(t *testing.T) {
	path := findBrowser(t)
	pages := []page{ // they take their time, which is not the browser's
		{"up", checked(t, false), 200, "Up",
			[]string{"up", "up", "up", "up"}, "rgb(24, 121, 78)", "rgb(76, 195, 138)"},
		{"down", checked(t, true), 503, "Down",
			[]string{"up", "down", "pending", "down"}, "rgb(193, 39, 45)", "rgb(255, 133, 137)"},
		{"pending", idle(t), 503, "Pending",
			[]string{"pending", "pending"}, "rgb(138, 90, 0)", "rgb(240, 184, 74)"},
		{"none", of(t, 0), 200, "Up",
			[]string{}, "rgb(24, 121, 78)", "rgb(76, 195, 138)"},
		{"one", of(t, 1), 503, "Pending",
			repeat("pending", 1), "rgb(138, 90, 0)", "rgb(240, 184, 74)"},
		{"twelve", of(t, 12), 503, "Pending",
			repeat("pending", 12), "rgb(138, 90, 0)", "rgb(240, 184, 74)"},
		{"thousands", of(t, 3000), 503, "Pending",
			repeat("pending", 200), "rgb(138, 90, 0)", "rgb(240, 184, 74)"},
		{"draining", draining(t), 503, "Draining",
			[]string{"up", "up", "up", "up"}, "rgb(47, 95, 179)", "rgb(134, 176, 255)"},
	}
	changing := newHealth(t, false)

	browser := startBrowser(t, path)
	for _, page := range pages {
		testLook(t, browser, page)
	}
	t.Run("reloads itself", func(t *testing.T) { testReload(t, browser, changing) })
}

// A page is a state, and what it has to look like.
type page struct {
	name      string
	handler   http.Handler
	status    int64
	headline  string
	states    []string // of the checks, in order
	lightTone string   // of the headline
	darkTone  string
}

// testLook opens a page in light and dark, wide and narrow, one after the other in the same tab.
func testLook(t *testing.T, browser context.Context, page page) {
	screens := []struct {
		name          string
		width, height int64
	}{{"wide", 1280, 800}, {"phone", 375, 740}}

	srv := httptest.NewServer(page.handler)
	defer srv.Close()
	tab := openTab(t, browser)
	for _, scheme := range []string{"light", "dark"} {
		for _, screen := range screens {
			t.Run(strings.Join([]string{page.name, scheme, screen.name}, "-"), func(t *testing.T) {
				require.NoError(t, chromedp.Do(tab.ctx,
					withoutScript, preferring(scheme),
					chromedp.EmulateViewport(screen.width, screen.height),
				))
				seen := look(t, tab.ctx, srv.URL+"/readyz")

				tone, ground := page.lightTone, "rgb(244, 245, 247)"
				if scheme == "dark" {
					tone, ground = page.darkTone, "rgb(14, 17, 22)"
				}
				assert.Equal(t, page.headline, seen.Headline)
				assert.Equal(t, tone, seen.Tone)
				assert.Equal(t, ground, seen.Ground, "the style sheet is in force")
				assert.Equal(t, page.states, seen.States)
				for i, state := range seen.States {
					assert.NotEqual(t, seen.Ground, seen.Tones[i], "the colour of %s", state)
					if state != "up" {
						assert.NotEqual(t, "rgb(24, 121, 78)", seen.Tones[i], "the colour of %s", state)
					}
				}
				assert.Equal(t, len(page.states), seen.Names, "names on the screen")
				assert.Equal(t, len(page.states), seen.Sparks, "sparklines on the screen")
				assert.False(t, seen.Overflow, "the page is wider than the screen")

				status, requests, complaints := tab.observed()
				assert.Equal(t, page.status, status)
				assert.Empty(t, complaints)
				assert.NotEmpty(t, requests)
				for _, request := range requests {
					assert.Equal(t, srv.URL+"/readyz", request)
				}
			})
		}
	}
}

// testReload shows that without any script the page follows what has changed since it was opened.
func testReload(t *testing.T, browser context.Context, registry *health.Registry) {
	srv := httptest.NewServer(registry.Handler(health.Ready))
	defer srv.Close()
	tab := openTab(t, browser)
	require.NoError(t, chromedp.Do(tab.ctx,
		withoutScript,
		chromedp.Navigate(srv.URL+"/readyz"),
		chromedp.WaitVisible(chromedp.CSS("header.up")),
	))
	registry.Drain()
	assert.NoError(t, chromedp.Do(tab.ctx, chromedp.WaitVisible(chromedp.CSS("header.draining"))))
}

// withoutScript has the page do without any, as it promises; chromedp.Evaluate works all the same.
func withoutScript(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
	params := emulation.SetScriptExecutionDisabledParams{Value: true}
	_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, params)
	return chromedp.Void{}, err
}

// preferring sets the colour scheme that the user of the browser has asked for.
func preferring(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return chromedp.Void{}, err
	}
}

// What somebody in front of the screen sees.
type sight struct {
	Headline, Tone, Ground string
	States, Tones          []string
	Overflow               bool
	Names, Sparks          int
}

// look opens the page. It tries again, as the page reloads itself after five seconds, which on a
// busy machine may be in the middle of this.
func look(t *testing.T, ctx context.Context, url string) (seen sight) {
	t.Helper()
	var err error
	for range 3 {
		if err = chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
			continue
		}
		if seen, err = chromedp.Run(ctx, chromedp.Evaluate[sight](lookAtPage)); err != nil {
			continue
		}
		if err = keepScreenshot(t, ctx); err == nil {
			break
		}
	}
	require.NoError(t, err)
	return seen
}

const lookAtPage = `(() => {
	if (document.readyState !== "complete") throw new Error("the page is being loaded");
	const visible = e => {
		const r = e.getBoundingClientRect();
		return r.width > 0 && r.height > 0 && r.right <= innerWidth;
	};
	const all = s => [...document.querySelectorAll(s)];
	const states = all(".state");
	return {
		Headline: document.querySelector("h1").innerText,
		Tone: getComputedStyle(document.querySelector("h1")).color,
		Ground: getComputedStyle(document.body).backgroundColor,
		States: states.filter(visible).map(e => e.innerText.trim()),
		Tones: states.map(e => getComputedStyle(e).color),
		Overflow: document.documentElement.scrollWidth > innerWidth,
		Names: all("h2").filter(visible).length,
		Sparks: all(".spark").filter(visible).length,
	};
})()`

// checked serves four checks that have run for a while; some of them fail, if failing.
func checked(t *testing.T, failing bool) http.Handler {
	return newHealth(t, failing).Handler(health.Ready, health.Details())
}

func draining(t *testing.T) http.Handler {
	registry := newHealth(t, false)
	registry.Drain()
	return registry.Handler(health.Ready)
}

// of serves n checks that have not run.
func of(t *testing.T, n int) http.Handler {
	registry, err := health.New()
	require.NoError(t, err)
	for i := range n {
		well := func(context.Context) error { return nil }
		check := health.Check{Name: fmt.Sprintf("check-%d", i+1), Probe: well}
		require.NoError(t, registry.Add(check))
	}
	return registry.Handler(health.Ready)
}

func repeat(state string, n int) []string { return slices.Repeat([]string{state}, n) }

func idle(t *testing.T) http.Handler {
	well := func(context.Context) error { return nil }
	registry, err := health.New(
		health.Check{Name: "mysql", Probe: well},
		health.Check{Name: "redis", Probe: well},
	)
	require.NoError(t, err)
	return registry.Handler(health.Ready)
}

func newHealth(t *testing.T, failing bool) *health.Registry {
	const period = 10 * time.Millisecond
	const settled = 30 // runs of each
	ran := make(chan struct{}, 4)
	probe := func(fails func(run int) error) health.Probe {
		run := 0
		return func(ctx context.Context) error {
			if run++; run == settled {
				ran <- struct{}{}
			}
			if run > settled { // from now on the page stands still
				<-ctx.Done()
				return ctx.Err()
			}
			select { // as if there were work
			case <-time.After(time.Duration(1+run*7%5) * time.Millisecond):
			case <-ctx.Done():
			}
			if failing {
				return fails(run)
			}
			return nil
		}
	}
	never := func(int) error { return nil }
	refused := errors.New("dial tcp 10.0.0.7:6379: connect: connection refused")
	late := func(run int) error {
		if run > 20 {
			return refused
		}
		return nil
	}
	always := func(int) error { return refused }
	registry, err := health.New(
		health.Check{Name: "mysql", Probe: probe(never), Period: period, Timeout: time.Hour},
		health.Check{Name: "redis", Probe: probe(late), Period: period, Timeout: time.Hour},
		health.Check{
			Name: "policy-cache", Probe: probe(always), Period: period, Timeout: time.Hour,
			Failures: 1000,
		},
		health.Check{
			Name:  "a-mail-relay-with-quite-a-long-name.example.com",
			Probe: probe(always), Period: period, Timeout: time.Hour, Optional: true,
		},
	)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- registry.Run(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
	for range 4 {
		<-ran
	}
	require.Eventually(t, func() bool { // the result of the last run is in
		for _, check := range registry.Report(health.Ready).Checks {
			if len(check.History) < settled {
				return false
			}
		}
		return true
	}, 10*time.Second, time.Millisecond)
	return registry
}

// lifetime is that of the browser, so that a browser that hangs cannot hold up everything else.
const lifetime = 3 * time.Minute

// findBrowser returns where a browser is, or skips the test if there is none.
func findBrowser(t *testing.T) (path string) {
	t.Helper()
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "chrome",
		"headless-shell", "chrome-headless-shell",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no chromium, chrome or headless-shell in PATH")
	return ""
}

// startBrowser starts a browser that ends with the test.
func startBrowser(t *testing.T, path string) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // as root, in containers
		chromedp.DisableGPU,
		// Browsers have errands of their own: neither through a proxy nor by name do they reach
		// anybody.
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := context.WithTimeout(context.Background(), lifetime)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the browser has ended and its directory is removed
		cancel()
	})
	require.NoError(t, chromedp.Do(ctx), "start %s", path)
	return ctx
}

// A tab is a page of the browser and what happened in it.
type tab struct {
	ctx context.Context

	mu         sync.Mutex
	status     int64
	requests   []string
	complaints []string
}

func openTab(t *testing.T, browser context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	tab := &tab{ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, tab.observe))
	return tab
}

func (tab *tab) observe(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		// The icon is part of the page.
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" {
			tab.requests = append(tab.requests, e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			tab.status = e.Response.Status
		}
	case *cdplog.EventEntryAdded:
		// That the page itself is a 503 is not a fault of the page.
		if !strings.Contains(e.Entry.Text, "the server responded with a status of 503") {
			tab.complaints = append(tab.complaints, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
		}
	case *runtime.EventConsoleAPICalled:
		tab.complaints = append(tab.complaints, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		tab.complaints = append(tab.complaints, "exception: "+e.ExceptionDetails.Text)
	}
}

func (tab *tab) observed() (status int64, requests, complaints []string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return tab.status, tab.requests, tab.complaints
}

func keepScreenshot(t *testing.T, ctx context.Context) error {
	dir := os.Getenv(screenshots)
	if dir == "" {
		return nil
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err
	}
	name := strings.ReplaceAll(strings.TrimPrefix(t.Name(), "TestHealthPage/"), "/", "-") + ".png"
	return os.WriteFile(filepath.Join(dir, name), png, 0o600)
}
