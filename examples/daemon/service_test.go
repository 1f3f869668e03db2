//go:build unix

package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStopAnswersWhatIsInFlight(t *testing.T) {
	t.Parallel()
	d := newPlace(t).start()
	const requests = 20
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			body, err := get(d.url + "/slow?for=1s")
			assert.NoError(t, err)
			assert.Equal(t, "That took 1s.\n", body)
		})
	}
	d.await(func() error {
		if n := strings.Count(d.read("daemon.log"), "slow request begins"); n < requests {
			return fmt.Errorf("%d requests have begun", n)
		}
		return nil
	})
	d.stop()
	wg.Wait()
	assert.Regexp(t, `ingress +http +\|.*#.*\| .* ok`, d.read("daemon.log"))
	assert.NoFileExists(t, d.path("daemon.pid"))
}

func TestStopTimeout(t *testing.T) {
	t.Parallel()
	d := newPlace(t).start()
	ended := make(chan error)
	go func() { _, err := get(d.url + "/slow?for=10s"); ended <- err }()
	d.awaitLog("daemon.log", "slow request begins")
	_, stderr, status := d.run("-stop", "-stop-timeout", "10ms")
	assert.Equal(t, 1, status, "exit status")
	assert.Equal(t, fmt.Sprintf("daemon: pid %d has got SIGTERM, and still runs after -stop-timeout 10ms\n", d.pid), stderr)
	d.awaitLog("daemon.log", "shutdown begins") // two signals that come before the first is looked at are one
	d.stop()                                    // the second forces
	assert.Error(t, <-ended)
}

func TestReload(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("daemon.json", `{"greeting": "Hello"}`)
	d := p.start("-config", "daemon.json")
	greets := func(greeting string) {
		t.Helper()
		body, err := get(d.url)
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("%s, this is pid %d.\n", greeting, d.pid), body)
	}
	greets("Hello")
	d.write("daemon.json", `{"greeting": "Good morning"}`)
	d.signal(syscall.SIGHUP)
	d.awaitLog("daemon.log", `msg=reloaded greeting="Good morning"`)
	greets("Good morning")

	file := d.path("daemon.json")
	for _, tt := range []struct{ name, settings, want string }{
		{"empty", "", file + `: the file is empty; want something like`},
		{"not JSON", "greeting: Hi", file + `: invalid character 'g'`},
		{"half of it", `{"greeting": "Hi`, file + `: unexpected EOF`},
		{"wrong type", `{"greeting": 1}`, file + `: json: cannot unmarshal number`},
		{"unknown field", `{"greetings": "Hi"}`, file + `: json: unknown field`},
		{"twice", `{"greeting": "Hi"}{"greeting": "Hi"}`, file + `: something follows the JSON object`},
		{"nothing to say", `{"greeting": ""}`, file + `: greeting is`},
		{"too much to say", `{"greeting": "` + strings.Repeat("x", 201) + `"}`, file + `: greeting is \"xxxxxxxxxxxxxxxxxxxx\", want 1 to 200 bytes`},
	} {
		d.write("daemon.json", tt.settings)
		require.NoError(t, os.Rename(d.path("daemon.log"), d.path("before.log"))) // so that what is looked for is new
		_, stderr, status := d.run("-reload")
		assert.Equal(t, 0, status, "%s: exit status; stderr: %s", tt.name, stderr)
		d.awaitLog("daemon.log", `msg="settings not reloaded, the old ones stay" error="`)
		assert.Contains(t, d.read("daemon.log"), tt.want, tt.name)
		greets("Good morning")
	}
	d.write("daemon.json", `{"greeting": "Good evening"}`)
	_, _, status := d.run("-reload")
	assert.Equal(t, 0, status, "exit status")
	d.awaitLog("daemon.log", "msg=reloaded")
	greets("Good evening")
	d.stop()
}

// systemd takes the end of a reload for the end of the start: one that is asked for before the
// service serves has to wait.
func TestReloadBeforeTheServiceServes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.hang()
	cmd := p.command("-addr", "127.0.0.1:0", "-pid-file", "daemon.pid", "-log-file", "daemon.log")
	expect := beSystemd(t, cmd.Cmd)
	cmd.Start()
	p.awaitPIDFile()
	cmd.Signal(syscall.SIGHUP)

	log, err := os.Open(p.path("daemon.log")) // the daemon goes on
	require.NoError(t, err)
	defer log.Close()
	expect(`^READY=1\n`)
	expect(`^RELOADING=1\n`)
	expect(`^READY=1\n`)
	cmd.Signal(syscall.SIGTERM)
	assert.Equal(t, 0, cmd.Wait(), "exit status")
}

// A shell without job control, or nohup, has a program ignore signals, and its children too.
func TestReloadWithSIGHUPIgnoredByTheStarter(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cmd := p.command("-detach", "-addr", "127.0.0.1:0", "-pid-file", "daemon.pid", "-log-file", "daemon.log")
	d := p.started(cmd.After(`trap "" HUP INT;`).Run())
	d.signal(syscall.SIGHUP)
	d.awaitLog("daemon.log", "msg=reloaded")
	d.signal(syscall.SIGINT)
	d.awaitLog("daemon.log", "received interrupt")
	p.await(func() error { return mustNotRun(p) })
}

// Rename, then SIGHUP, while requests are served: each of their records is in one of the files,
// once, and whole.
func TestLogRotationLosesNothing(t *testing.T) {
	t.Parallel()
	d := newPlace(t).start()
	const clients, rotations = 8, 20
	var over atomic.Bool
	var wg sync.WaitGroup
	var mu sync.Mutex
	sent := make(map[string]bool)
	for range clients {
		wg.Go(func() {
			for !over.Load() {
				resp, err := http.Get(d.url)
				if !assert.NoError(t, err) {
					return
				}
				_ = resp.Body.Close()
				mu.Lock()
				sent[resp.Header.Get("X-Request-ID")] = true
				mu.Unlock()
			}
		})
	}
	for n := range rotations {
		d.awaitLog("daemon.log", "msg=greeting")
		require.NoError(t, os.Rename(d.path("daemon.log"), d.path(fmt.Sprintf("daemon.log.%d", n))))
		d.signal(syscall.SIGHUP)
		d.awaitLog("daemon.log", "msg=reloaded")
	}
	over.Store(true)
	wg.Wait()
	d.stop()

	log, _, _ := strings.Cut(d.read("daemon.log"), "\nshutdown: ") // the report
	for n := range rotations {
		rotated := d.read(fmt.Sprintf("daemon.log.%d", n))
		assert.Contains(t, rotated, "msg=greeting", "file %d", n)
		log += rotated
	}
	record := regexp.MustCompile(`^time=\S+ level=INFO msg=(listening|"service started"|reloaded|"shutdown begins"|"shutdown complete"|greeting requestID=([0-9a-f]{32})$)`)
	logged := make(map[string]bool)
	for line := range strings.Lines(log) {
		m := record.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if !assert.NotNil(t, m, "not a record: %q", line) || m[2] == "" {
			continue
		}
		assert.False(t, logged[m[2]], "%s is there twice", m[2])
		logged[m[2]] = true
	}
	assert.NotEmpty(t, sent)
	assert.Equal(t, sent, logged)
}

func TestLogFileIsAppendedTo(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("daemon.log", "what was there before\n")
	p.start().stop()
	assert.Regexp(t, `^what was there before\ntime=\S+ level=INFO msg=`, p.read("daemon.log"))
}

func TestLogFileThatCannotBeOpenedAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.NoError(t, os.Mkdir(p.path("logs"), 0o700))
	d := p.started(p.run("-detach", "-addr", "127.0.0.1:0", "-log-file", "logs/daemon.log"))
	require.NoError(t, os.Rename(p.path("logs"), p.path("moved")))
	d.signal(syscall.SIGHUP)
	d.awaitLog("moved/daemon.log", "log file not opened again, the old one stays")
	_, err := get(d.url)
	assert.NoError(t, err)
	d.stop()
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	d := newPlace(t).start()
	for _, path := range []string{"/", "/slow?for=1ms", "/livez", "/readyz"} {
		_, err := get(d.url + path)
		assert.NoError(t, err, path)
	}
	for path, want := range map[string]string{
		"/nothing":     "404 Not Found: 404 page not found\n",
		"/slow?for=1h": `400 Bad Request: for="1h": want a duration from 0s to 10s, such as 1.5s` + "\n",
	} {
		_, err := get(d.url + path)
		assert.EqualError(t, err, want)
	}
	d.stop()
}
