//go:build unix

package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
)

// What the README says of the speed, on MariaDB with two authzservers. They take minutes, and say
// nothing on a busy machine, so they only run, and only print, when GRACEKIT_TEST_IAM_LOAD is set:
//
//	GRACEKIT_TEST_IAM_LOAD=1 GRACEKIT_TEST_MYSQL_DSN='root@tcp(127.0.0.1:3306)/test' go test -C examples -v -run 'TestFigures|TestStorm' ./iam
func TestFigures(t *testing.T) {
	const owners, each = 1000, 100
	s, meter := startMeasured(t)
	fill(t, s.db, owners, each)
	for i := range s.authz { // they get everything
		s.authz[i].terminate()
		s.startAuthz(i)
		require.Eventually(t, func() bool { return s.ready(s.authzAddr[i]) }, soon, 5*time.Millisecond)
	}
	t.Logf("%d policies of %d users: RSS %d and %d MB after the first load", owners*each, owners, s.authz[0].rss(t), s.authz[1].rss(t))

	// From the answer to the creation until both allow, and from that to the deletion until both
	// deny.
	const changes = 200
	var took []time.Duration
	meter.sent.Store(0)
	for i := range changes {
		resource := fmt.Sprint("figures:", i)
		id := s.allow(resource)
		took = append(took, s.inForce(true, resource))
		s.deletePolicy(id)
		took = append(took, s.inForce(false, resource))
	}
	slices.Sort(took)
	t.Logf("a change in force on both: p50 %v, p99 %v, max %v; %d bytes sent a change to one of them", took[len(took)/2], took[len(took)*99/100],
		took[len(took)-1], meter.sent.Load()/int64(len(took)))

	s.allow("rate:1")
	s.inForce(true, "rate:1")
	t.Logf("questions:\n%s; RSS %d and %d MB", s.questions(32, 10*time.Second), s.authz[0].rss(t), s.authz[1].rss(t))
}

// A thousand changes a second are offered for a minute, whether the servers keep up or not.
func TestStorm(t *testing.T) {
	const owners, each = 100, 100
	s, _ := startMeasured(t)
	seconds := 60
	if testing.Short() {
		seconds = 15
	}
	fill(t, s.db, owners, each)
	type target struct{ path, login string }
	var targets []target
	for o := range owners { // their passwords are all ann's
		name := fmt.Sprint("owner", o)
		login := s.logIn(name, "the password of ann")
		for _, item := range s.must(login, http.StatusOK, "GET", "/v1/policies?limit=100", nil)["items"].([]any) {
			targets = append(targets, target{"/v1/policies/" + item.(object)["metadata"].(object)["instanceID"].(string), login})
		}
	}
	storm := func(seconds int, probe func(time.Duration)) (accepted int64) {
		var mu sync.Mutex
		statuses := map[string]int{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		if probe != nil {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					resource := fmt.Sprint("storm:", i)
					if _, err := s.create(resource); err == nil {
						probe(s.inForce(true, resource))
					}
					time.Sleep(time.Second / 2) // the probes ask often, which is a load as well
				}
			})
		}
		begin := time.Now()
		for n := range seconds * 1000 {
			time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Millisecond)))
			wg.Go(func() {
				target := targets[n%len(targets)]
				status := "no answer"
				if time.Since(begin) > time.Duration(n)*time.Millisecond+time.Second {
					status = "not sent, this test is too slow" // what is offered a second late is another load
				} else if resp, _, err := s.do("PUT", "http://"+s.apiAddr+target.path, target.login, object{"policy": policyFor(fmt.Sprint("x:", n))}); err == nil {
					status = strconv.Itoa(resp.StatusCode)
				}
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			})
		}
		wg.Wait()
		t.Logf("%d changes in %v: %v", seconds*1000, time.Since(begin).Round(time.Millisecond), statuses)
		return int64(float64(statuses["200"]) / time.Since(begin).Seconds())
	}
	var took []time.Duration
	with := storm(seconds, func(d time.Duration) { took = append(took, d) })
	slices.Sort(took)
	for _, authz := range s.authz {
		authz.kill()
	}
	without := storm(seconds/3, nil)
	t.Logf("%d a second with two authzservers, %d without; %d probes in force after p50 %v, max %v", with, without, len(took), took[len(took)/2], took[len(took)-1])
}

// startMeasured starts the system with MariaDB, whose second authzserver gets its feed through the
// meter.
func startMeasured(t *testing.T) (*system, *meter) {
	t.Helper()
	if os.Getenv("GRACEKIT_TEST_IAM_LOAD") == "" {
		t.Skip("GRACEKIT_TEST_IAM_LOAD is not set")
	}
	addrs := freeAddrs(t, 6)
	m := newMeter(t, addrs[5], addrs[1])
	return startSystem(t, build(t), dbtest.MySQL(t), newEmbeddedRedis(t, addrs[4]), addrs[:4], func(s *system) {
		s.client.Transport = &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 512}
		s.apiFlags = []string{"-server.middlewares", "requestid,recovery"}
		s.authzFlags = []string{"-decisions", s.dir + "/decisions"}
		s.feedOf[1] = m.at
	}), m
}

// fill writes policies of 200 bytes past the apiserver, which would take minutes, for owner0,
// owner1, … with ann's password.
func fill(t *testing.T, db string, owners, each int) {
	t.Helper()
	pool, err := sql.Open("mysql", strings.TrimPrefix(db, "mysql:"))
	require.NoError(t, err)
	defer pool.Close()
	exec := func(query string, rows []string) {
		t.Helper()
		_, err := pool.ExecContext(t.Context(), query+strings.Join(rows, ","))
		require.NoError(t, err)
	}
	var hash string
	require.NoError(t, pool.QueryRowContext(t.Context(), "SELECT passwordHash FROM users WHERE name = 'ann'").Scan(&hash))
	for o := range owners {
		exec("INSERT INTO users (id, name, email, admin, passwordHash) VALUES ",
			[]string{fmt.Sprintf("(%d, 'owner%d', '', false, '%s')", 1000+o, o, hash)})
		var rows []string
		for i := range each {
			rows = append(rows, fmt.Sprintf(`(%d, 'p%d', '{"effect":"allow","subjects":["users:owner%d-friend-%d","robots:build-%d-*"],"actions":["read","list"],"resources":["articles:%d-%d-*","books:%d:chapter-*"]}', '{}')`,
				1000+o, i, o, i, i, o, i, i))
		}
		exec("INSERT INTO policies (ownerID, name, document, extendShadow) VALUES ", rows)
	}
}

// rss returns megabytes of memory.
func (p *process) rss(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	kB, err := strconv.Atoi(regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindStringSubmatch(string(data))[1])
	require.NoError(t, err)
	return kB / 1024
}

// inForce returns how long it takes until both say so.
func (s *system) inForce(allowed bool, resource string) time.Duration {
	begin := time.Now()
	for i := range s.authz {
		for {
			got, err := s.ask(i, resource)
			if err == nil && got == allowed {
				break
			}
			if !assert.Less(s.t, time.Since(begin), soon, "%s: allowed is %v", resource, allowed) {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	return time.Since(begin)
}

// questions has wrk ask the first authzserver, since clients in Go cost as much as the server, on
// the same processors.
func (s *system) questions(clients int, during time.Duration) string {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return "wrk is not installed"
	}
	script := filepath.Join(s.t.TempDir(), "authz.lua")
	require.NoError(s.t, os.WriteFile(script, fmt.Appendf(nil, `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
wrk.body = '{"subject":"users:ben","action":"read","resource":"rate:1"}'
`, s.question), 0o600))
	out, err := exec.CommandContext(s.t.Context(), wrk, "-t1", "--latency", "-c", fmt.Sprint(clients), "-d", fmt.Sprint(during), "-s", script,
		"http://"+s.authzAddr[0]+"/v1/authz").CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	assert.NotContains(s.t, string(out), "Non-2xx")
	return string(out)
}

// A meter is a proxy that counts what the server sends, and can be cut: then nothing gets through,
// and nobody says so.
type meter struct {
	at   string
	sent atomic.Int64

	mu   sync.Mutex
	open chan struct{} // closed while it is not cut
}

func newMeter(t *testing.T, at, server string) *meter {
	listener, err := net.Listen("tcp", at)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	m := &meter{at: at, open: make(chan struct{})}
	close(m.open)
	go func() { // ends when the listener is closed
		for {
			down, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				m.wait()
				up, err := net.Dial("tcp", server)
				if err != nil {
					_ = down.Close()
					return
				}
				go m.pipe(up, down, nil)
				m.pipe(down, up, &m.sent)
			}()
		}
	}()
	return m
}

func (m *meter) wait() {
	m.mu.Lock()
	open := m.open
	m.mu.Unlock()
	<-open
}

func (m *meter) pipe(to, from net.Conn, count *atomic.Int64) {
	defer to.Close()
	defer from.Close()
	for buffer := make([]byte, 32<<10); ; {
		n, err := from.Read(buffer)
		m.wait()
		if count != nil {
			count.Add(int64(n))
		}
		if _, err2 := to.Write(buffer[:n]); err != nil || err2 != nil {
			return
		}
	}
}

// cut returns what mends it.
func (m *meter) cut() (mend func()) {
	open := make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = open
	return func() { close(open) }
}
