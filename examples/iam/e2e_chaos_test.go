//go:build unix

package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
)

// For two minutes something is always broken, and somebody changes policies all the time. No
// decision may be one that no state of the database of the last maxStale allows, and at the end
// both servers say what the database says within a second.
//
//	GRACEKIT_TEST_IAM_LOAD=1 GRACEKIT_TEST_MYSQL_DSN='root@tcp(127.0.0.1:3306)/test' go test -C examples -v -run TestChaos ./iam
func TestChaos(t *testing.T) {
	if os.Getenv("GRACEKIT_TEST_IAM_LOAD") == "" {
		t.Skip("GRACEKIT_TEST_IAM_LOAD is not set")
	}
	const during, maxStale = 2 * time.Minute, 5 * time.Second
	addrs := freeAddrs(t, 6)
	redis, network := newEmbeddedRedis(t, addrs[4]), newMeter(t, addrs[5], addrs[1])
	s := startSystem(t, build(t), dbtest.MySQL(t), redis, addrs[:4], func(s *system) {
		s.client.Timeout = 3 * time.Second
		s.authzFlags = []string{"-poll", "1s", "-max-stale", maxStale.String()}
		s.feedOf[1] = network.at
	})
	config, err := mysqldriver.ParseDSN(strings.TrimPrefix(s.db, "mysql:"))
	require.NoError(t, err)
	config.MultiStatements = true
	pool, err := sql.Open("mysql", config.FormatDSN())
	require.NoError(t, err)
	defer pool.Close()
	exec := func(statements string) {
		t.Helper()
		_, err := pool.ExecContext(t.Context(), statements)
		require.NoError(t, err)
	}
	tables := []string{"revisions", "policies", "secrets", "changes"} // the first is the lock of all

	var states history
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { // who changes
		for i := 0; ctx.Err() == nil; i++ {
			states.change(s.toggle, func() bool { return s.stored(t, pool) })
			time.Sleep(rand.N(1500 * time.Millisecond))
		}
	})
	var asked, allowed [2]int
	for i := range s.authz { // who asks
		wg.Go(func() {
			for ctx.Err() == nil {
				begin := time.Now()
				got, err := s.ask(i, "chaos:1")
				if err == nil {
					asked[i]++
					if got {
						allowed[i]++
					}
					// To deny is allowed to a server that knows that it knows nothing.
					if got && !states.ever(true, begin.Add(-maxStale-200*time.Millisecond), time.Now()) {
						t.Errorf("authzserver %d allows what no state of the last %v does", i, maxStale)
						return
					}
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	events := []struct {
		name string
		do   func()
	}{
		{"kill the apiserver", func() { s.api.kill(); time.Sleep(2 * time.Second); s.startAPI() }},
		{"kill authzserver 0", func() { s.authz[0].kill(); s.startAuthz(0) }},
		{"kill authzserver 1", func() { s.authz[1].kill(); s.startAuthz(1) }},
		{"freeze Redis", func() {
			_ = redis.cmd.Process.Signal(syscall.SIGSTOP)
			time.Sleep(4 * time.Second)
			_ = redis.cmd.Process.Signal(syscall.SIGCONT)
		}},
		{"kill Redis", func() { redis.lose(); time.Sleep(3 * time.Second); redis.comeBack() }},
		{"cut authzserver 1 off", func() { mend := network.cut(); time.Sleep(8 * time.Second); mend() }},
		{"freeze the apiserver", func() {
			s.api.signal(syscall.SIGSTOP)
			time.Sleep(7 * time.Second)
			s.api.signal(syscall.SIGCONT)
		}},
		{"restore", func() {
			var backup, restore strings.Builder
			restore.WriteString("SET foreign_key_checks = 0; START TRANSACTION;")
			for _, table := range tables {
				fmt.Fprintf(&backup, "DROP TABLE IF EXISTS backup_%s; CREATE TABLE backup_%s AS SELECT * FROM %s;", table, table, table)
				fmt.Fprintf(&restore, "DELETE FROM %s; INSERT INTO %s SELECT * FROM backup_%s;", table, table, table)
			}
			states.change(func() { exec(backup.String()) }, func() bool { return s.stored(t, pool) })
			time.Sleep(3 * time.Second)
			states.change(func() { exec(restore.String() + "COMMIT; SET foreign_key_checks = 1") }, func() bool { return s.stored(t, pool) })
		}},
	}
	for n := 0; ctx.Err() == nil; n++ {
		event := events[n%len(events)]
		begin := time.Now()
		event.do()
		t.Logf("%s: %v", event.name, time.Since(begin).Round(time.Millisecond))
		time.Sleep(rand.N(time.Second))
	}
	wg.Wait()
	for i := range s.authz {
		require.Eventually(t, func() bool { return s.ready(s.authzAddr[i]) }, soon, time.Millisecond)
	}
	want, begin := s.stored(t, pool), time.Now()
	took := s.inForce(want, "chaos:1")
	assert.Less(t, took, time.Second, "both are equal to the database")
	t.Logf("%v and %v questions answered, %v and %v allowed, %d changes; equal %v after the end", asked[0], asked[1], allowed[0], allowed[1], states.len(), time.Since(begin).Round(time.Millisecond))
	for _, n := range allowed {
		assert.Positive(t, n)
	}
}

// toggle deletes the policy that allows it, or creates one. If that fails it returns when nothing
// of it can happen any more.
func (s *system) toggle() {
	resp, _, err := s.post(s.apiAddr, "chaos", "chaos:1")
	if resp != nil && resp.StatusCode == http.StatusConflict {
		var data []byte
		if _, data, err = s.do("GET", "http://"+s.apiAddr+"/v1/policies", s.login, nil); err == nil {
			_, rest, _ := strings.Cut(string(data), `"instanceID":"policy-`)
			id, _, _ := strings.Cut(rest, `"`)
			_, _, err = s.do("DELETE", "http://"+s.apiAddr+"/v1/policies/policy-"+id, s.login, nil)
		}
	}
	if err == nil {
		return
	}
	for begin := time.Now(); !s.ready(s.apiAddr) && time.Since(begin) < soon; {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
}

// stored reports what the database says.
func (s *system) stored(t *testing.T, pool *sql.DB) bool {
	var n int
	assert.NoError(t, pool.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM policies").Scan(&n))
	return n > 0
}

// A history is what the database said when.
type history struct {
	changing sync.Mutex // one at a time

	mu     sync.Mutex
	states []state
}

type state struct {
	from    time.Time
	either  bool // it is being changed
	allowed bool
}

// change does something after which the database says what now reports; meanwhile nobody knows.
func (h *history) change(do func(), now func() bool) {
	h.changing.Lock()
	defer h.changing.Unlock()
	h.add(state{from: time.Now(), either: true})
	do()
	allowed := now()
	h.add(state{from: time.Now(), allowed: allowed})
}

func (h *history) add(s state) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = append(h.states, s)
}

func (h *history) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.states) / 2
}

// ever reports whether the database may have said so at some time in between.
func (h *history) ever(allowed bool, from, to time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, s := range h.states {
		ended := i+1 < len(h.states) && h.states[i+1].from.Before(from)
		if !ended && s.from.Before(to) && (s.either || s.allowed == allowed) {
			return true
		}
	}
	return false
}
