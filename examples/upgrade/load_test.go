//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Clients call the service in closed loops: half of them over connections that are kept alive, half
// with a new one for each request. They POST what cannot be sent a second time, so that net/http's
// own retries do not hide a loss.
type clients struct {
	running sync.WaitGroup
	done    chan struct{}

	mu       sync.Mutex
	requests int
	refused  int
	failures []string
	by       map[string]int // answers, by the process that gave them
}

func call(url string, each int) *clients {
	c := &clients{done: make(chan struct{}), by: map[string]int{}}
	for i := range 2 * each {
		transport := &http.Transport{DisableKeepAlives: i%2 == 0}
		client := &http.Client{Transport: transport, Timeout: time.Minute}
		c.running.Go(func() {
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-c.done:
					return
				default:
				}
				process, err := post(client, url)
				c.record(process, err)
			}
		})
	}
	return c
}

func post(client *http.Client, url string) (process string, err error) {
	payload := bytes.Repeat([]byte{byte(rand.IntN(256))}, 1+rand.IntN(2048))
	// A mere io.Reader leaves net/http without a GetBody to make another one with.
	req, err := http.NewRequest(http.MethodPost, url+"/echo", struct{ io.Reader }{bytes.NewReader(payload)})
	if err != nil {
		return "", err
	}
	req.ContentLength = int64(len(payload))
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode != http.StatusOK:
		return "", errors.New(resp.Status)
	case !bytes.Equal(answer, payload):
		return "", fmt.Errorf("the answer has %d bytes, not the %d that were sent", len(answer), len(payload))
	}
	return resp.Header.Get("Server"), nil
}

func (c *clients) record(process string, err error) {
	c.mu.Lock()
	c.requests++
	if err == nil {
		c.by[process]++
	} else {
		c.failures = append(c.failures, time.Now().Format("15:04:05.000 ")+err.Error())
		if errors.Is(err, syscall.ECONNREFUSED) {
			c.refused++
		}
	}
	c.mu.Unlock()
	if err != nil {
		time.Sleep(20 * time.Millisecond) // does not count the speed of this machine
	}
}

func (c *clients) answeredBy(pid int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by["process "+strconv.Itoa(pid)]
}

func (c *clients) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// stop waits for the requests in flight. None of all may have failed.
func (c *clients) stop(t *testing.T) {
	t.Helper()
	close(c.done)
	c.running.Wait()
	t.Logf("%d requests, %d refused, %d failed", c.requests, c.refused, len(c.failures))
	assert.Zero(t, c.refused, "refused")
	assert.Empty(t, c.failures)
}

func TestTenUpgradesUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, "-health-timeout", within.String())
	load := call(s.url, 4)
	for n := range 10 {
		old := s.waitForGeneration(n + 1)
		eventually(t, func() bool { return load.answeredBy(old) >= 100 }, "process %d has not answered 100 requests", old)
		before := load.count()
		s.installGood()
		s.signal(old, syscall.SIGHUP)
		s.waitForGeneration(n + 2)
		assert.Equal(t, 0, s.waitForExit(old), "exit status")
		t.Logf("upgrade %2d: %4d requests while it took place", n+1, load.count()-before)
	}
	last := s.waitForGeneration(11)
	eventually(t, func() bool { return load.answeredBy(last) >= 100 }, "process %d has not answered 100 requests", last)
	load.stop(t)
	if descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", last)); err == nil { // Linux
		assert.Less(t, len(descriptors), 30, "generations hand on more than they should")
	}
	s.stop()
}

// Whatever is wrong with the new program, the old process goes on, says why, and can be upgraded
// later.
func TestBadPrograms(t *testing.T) {
	tests := []struct {
		name  string
		args  []string
		spoil func(s *service, store string)
		want  string // the reason
	}{
		{"exits at once", nil, func(s *service, _ string) { s.installScript("#!/bin/sh\nexit 3\n") }, `"it ended with exit status 3"`},
		{"is no program", nil, func(s *service, _ string) { s.installScript("nonsense") }, `"fork/exec .*/server: exec format error"`},
		{"is not there", nil, func(s *service, _ string) { require.NoError(s.t, os.Remove(s.path)) }, `"fork/exec .*/server: no such file or directory"`},
		{
			"hangs", []string{"-health-timeout", "5s"}, func(s *service, _ string) { s.installScript("#!/bin/sh\nexec sleep 1000\n") },
			`"it was not healthy within -health-timeout 5s"`,
		},
		{
			"is never healthy", []string{"-health-timeout", "5s"}, func(s *service, store string) { require.NoError(s.t, os.Remove(store)) },
			`"(it was not healthy within -health-timeout 5s|it ended with exit status 1): .*503 Service Unavailable.*"`,
		},
		{
			"says why it fails", nil, func(s *service, _ string) { s.installScript("#!/bin/sh\necho failed out of luck >&4\nexit 4\n") },
			`"it ended with exit status 4: out of luck"`,
		},
		{
			"dies when it is to serve", nil, func(s *service, _ string) {
				s.installScript("#!/bin/sh\necho healthy >&4\nread line <&4\necho $$ >" + s.pidFile() + "\necho failed $line >&4\nexit 5\n")
			},
			`"it ended with exit status 5: serve"`,
		},
		{
			"speaks another language", nil, func(s *service, _ string) { s.installScript("#!/bin/sh\necho bonjour >&4\nexec sleep 1000\n") },
			`"it said \\"bonjour\\", which is none of the words it should know"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := filepath.Join(t.TempDir(), "store")
			require.NoError(t, os.WriteFile(store, nil, 0o600))
			s := start(t, append(tt.args, "-store", store)...)
			first := s.waitForGeneration(1)
			load := call(s.url, 1)
			tt.spoil(s, store)
			s.signal(first, syscall.SIGHUP)
			s.waitForLog(`level=ERROR msg="upgrade failed, this process goes on serving" pid=` + strconv.Itoa(first) + ` .*reason=` + tt.want)
			if m := s.waitForLog(`upgrade failed.*(?:new_pid=(\d+)|path=)`); m[1] != "" {
				pid, err := strconv.Atoi(m[1])
				require.NoError(t, err)
				s.gone(pid)
			}
			assert.Equal(t, fmt.Sprintln(first), s.pidInFile())
			require.NoError(t, os.WriteFile(store, nil, 0o600))
			s.installGood()
			second := s.upgradeAtLast(first)
			eventually(t, func() bool { return load.answeredBy(second) >= 10 }, "process %d has not answered 10 requests", second)
			assert.Equal(t, 0, s.waitForExit(first), "exit status")
			load.stop(t)
			s.stop()
		})
	}
}

// upgradeAtLast tries until a second process serves: -health-timeout, which is short for the bad
// ones, may be too short for a good one while the machine is busy.
func (s *service) upgradeAtLast(first int) (second int) {
	s.t.Helper()
	failures := func() int { return strings.Count(s.logged(), "upgrade failed") }
	for seen := -1; len(s.generations()) < 2; {
		if now := failures(); now != seen {
			seen = now
			s.signal(first, syscall.SIGHUP)
		}
		eventually(s.t, func() bool { return len(s.generations()) >= 2 || failures() != seen }, "the upgrade has no end")
	}
	return s.waitForGeneration(2)
}

// A program that was started with the socket must not leave it in blocking mode: the Accept that
// follows could not be held, and would take the first connection that is meant for the next
// process.
func TestUpgradeWithoutLoad(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.waitForGeneration(1)
	s.installScript("#!/bin/sh\nexit 3\n")
	s.signal(first, syscall.SIGHUP)
	s.waitForLog("upgrade failed")
	s.get("/") // Accept is called anew
	s.installGood()
	s.signal(first, syscall.SIGHUP)
	second := s.waitForGeneration(2)
	assert.Equal(t, 0, s.waitForExit(first), "exit status")
	assert.Equal(t, fmt.Sprintf("version 1, process %d\n", second), s.get("/"))
	s.stop()
}
