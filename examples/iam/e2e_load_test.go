//go:build unix

package main_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// SIGTERM to each process in turn while clients go on asking and changing: no request fails.
//
// The clients do what a balancer does: they use the servers whose /readyz is 200, and leave one
// that says "Connection: close". The apiserver exists once, so while it is away its clients wait.
// To find nobody listening is no failure, since not a byte was sent; everything else is: an answer
// that is cut off or missing, and any status but the right one.
func testStopsUnderLoad(t *testing.T, s *system) {
	s.allow("load:allowed")
	s.eventually(true, "load:allowed")
	load := startLoad(t, s)

	const between = 200 // requests to each kind of server before and after each stop
	load.more(between)
	for i := range s.authz {
		s.authz[i].terminate()
		load.more(between)
		s.startAuthz(i)
		s.authz[i].waitFor("msg=ready ")
		load.more(between)
	}
	s.api.terminate()
	s.startAPI()
	load.more(between)
	load.end()
	t.Logf("%d questions to authzservers, %d requests to the apiserver, %d times nobody listened", load.asked.Load(), load.managed.Load(), load.refused.Load())
	last := s.allow("load:last")
	s.eventually(true, "load:last")
	s.deletePolicy(last)
	s.eventually(false, "load:last")
}

// A load is what the clients do, until end.
type load struct {
	t               *testing.T
	asked, managed  atomic.Int64 // answered as they should be
	refused         atomic.Int64
	failed          atomic.Int64
	stop            chan struct{}
	clients, probes sync.WaitGroup
}

func startLoad(t *testing.T, s *system) *load {
	l := &load{t: t, stop: make(chan struct{})}
	authz, api := l.endpoints(s, s.authzAddr[:]), l.endpoints(s, []string{s.apiAddr})
	for range 4 {
		l.clients.Go(func() {
			l.run(authz, &l.asked, func(addr string, n int) (*http.Response, error) {
				resource, want := "load:allowed", `{"allowed":true,`
				if n%2 == 0 {
					resource, want = "load:denied", `{"allowed":false,`
				}
				resp, data, err := s.do("POST", "http://"+addr+"/v1/authz", s.question, object{"subject": "users:ben", "action": "read", "resource": resource})
				if err == nil && (resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(data), want)) {
					err = fmt.Errorf("%s: %s: %s", resource, resp.Status, data)
				}
				return resp, err
			})
		})
	}
	for client := range 2 {
		l.clients.Go(func() {
			var id string // of the policy that every second request creates, and the next one deletes
			l.run(api, &l.managed, func(addr string, n int) (resp *http.Response, err error) {
				if id == "" {
					resp, id, err = s.post(addr, fmt.Sprintf("load-%d-%d", client, n), "load:other")
					return resp, err
				}
				resp, data, err := s.do("DELETE", "http://"+addr+"/v1/policies/"+id, s.login, nil)
				if err == nil && resp.StatusCode != http.StatusNoContent {
					err = fmt.Errorf("deletion of %s: %s: %s", id, resp.Status, data)
				}
				id = ""
				return resp, err
			})
		})
	}
	t.Cleanup(l.end)
	return l
}

// run makes requests one after the other.
func (l *load) run(e *endpoints, answered *atomic.Int64, request func(addr string, n int) (*http.Response, error)) {
	addr := ""
	for n := 0; ; {
		select {
		case <-l.stop:
			return
		default:
		}
		if addr == "" {
			if addr = e.choose(); addr == "" {
				time.Sleep(time.Millisecond) // all of them are away
				continue
			}
		}
		resp, err := request(addr, n)
		var opErr *net.OpError
		switch {
		case errors.As(err, &opErr) && opErr.Op == "dial":
			l.refused.Add(1)
			e.leave(addr)
			addr = ""
			continue
		case err != nil:
			l.failed.Add(1)
			assert.NoError(l.t, err, "request %d to %s", n, addr)
			return
		case resp.Close:
			e.leave(addr)
			addr = ""
		}
		answered.Add(1)
		n++
	}
}

// more waits until so many requests of each kind have been answered from now on.
func (l *load) more(n int64) {
	l.t.Helper()
	asked, managed := l.asked.Load()+n, l.managed.Load()+n/20
	require.Eventually(l.t, func() bool {
		return l.failed.Load() > 0 || l.asked.Load() >= asked && l.managed.Load() >= managed
	}, soon, time.Millisecond, "%d more requests", n)
	require.Zero(l.t, l.failed.Load(), "requests have failed")
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.clients.Wait()
	l.probes.Wait()
}

// endpoints are the servers of one kind, of which the clients use those that are ready.
type endpoints struct {
	mu    sync.Mutex
	ready []string
	next  int
}

// endpoints asks each server again and again whether it is ready, until the load ends.
func (l *load) endpoints(s *system, addrs []string) *endpoints {
	e := new(endpoints)
	for _, addr := range addrs {
		l.probes.Go(func() {
			for {
				if s.ready(addr) {
					e.join(addr)
				} else {
					e.leave(addr)
				}
				select {
				case <-l.stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	return e
}

func (e *endpoints) join(addr string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Contains(e.ready, addr) {
		e.ready = append(e.ready, addr)
	}
}

func (e *endpoints) leave(addr string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ready = slices.DeleteFunc(e.ready, func(a string) bool { return a == addr })
}

// choose returns the ready servers in turn, and "" if there is none.
func (e *endpoints) choose() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.ready) == 0 {
		return ""
	}
	e.next++
	return e.ready[e.next%len(e.ready)]
}
