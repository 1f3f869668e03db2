package authzserver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/iamtest"
)

// Each decision is one line, all of them are there after a stop, and what was no decision is none.
func TestDecisionsAreOnRecord(t *testing.T) {
	t.Parallel()
	f := startFeed(t)
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a"), newPolicy("policy-2", "user-ann", "deny", "b"))
	var out iamtest.Buffer
	s := startReady(t, f, miniredis.RunT(t).Addr(), func(o *authzserver.Options) { o.Decisions = &out })
	const n = 300
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { s.ask(ann, []string{"a", "b", "<c>"}[i%3]) })
	}
	wg.Wait()
	s.post("", "application/json", "{}")
	assert.NoError(t, s.stop())

	counts, ids := map[string]int{}, map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var r map[string]string
		require.NoError(t, json.Unmarshal([]byte(line), &r), line)
		counts[fmt.Sprint(r["owner"], r["secret"], r["subject"], r["action"], r["resource"], r["decision"], r["policy"])]++
		assert.Contains(t, s.log.String(), "requestID="+r["requestID"]+" ")
		ids[r["requestID"]] = true
		assert.NotEmpty(t, r["time"])
		assert.NotEmpty(t, r["reason"])
	}
	assert.Equal(t, map[string]int{
		"user-annsecret-annusers:annreadaallowpolicy-1": n / 3,
		"user-annsecret-annusers:annreadbdenypolicy-2":  n / 3,
		"user-annsecret-annusers:annread<c>deny":        n / 3,
	}, counts)
	assert.Len(t, ids, n)
	assert.Contains(t, s.log.String(), `msg="the record of decisions is complete"`)
	assert.Contains(t, s.log.String(), "written=300 dropped=0")
}

// A writer that hangs holds no decision up. What the queue has no place for is counted, and the
// rest is on record, also if the end comes meanwhile.
func TestDecisionsDoNotWaitForTheirRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &hanging{open: make(chan struct{})}
		r := authzserver.NewRecorder(out)
		go r.Run()
		r.Add()
		synctest.Wait() // it hangs in the first Write
		const n = 10_000
		for range n {
			r.Add()
		}
		flushed := make(chan error)
		go func() { flushed <- r.Flush() }()
		synctest.Wait()
		close(out.open)
		require.NoError(t, <-flushed)
		written, dropped := r.Counts()
		assert.Positive(t, dropped)
		assert.Equal(t, 1+n, written+dropped)
		assert.Equal(t, written, bytes.Count(out.buffer.Bytes(), []byte("\n")))
	})
}

// A hanging writer takes nothing until it is open.
type hanging struct {
	open   chan struct{}
	buffer bytes.Buffer
}

func (h *hanging) Write(p []byte) (int, error) {
	<-h.open
	return h.buffer.Write(p)
}

// What cannot be written is counted, and it is tried again.
func TestDecisionsAfterAnError(t *testing.T) {
	t.Parallel()
	f := startFeed(t)
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	out := &failing{}
	s := startReady(t, f, miniredis.RunT(t).Addr(), func(o *authzserver.Options) { o.Decisions, o.AdminAddr = out, "127.0.0.1:0" })
	s.ask(ann, "first")
	s.eventuallyLogs("the disk is full")
	s.ask(ann, "second")
	url := adminURL(t, s)
	s.eventually("metrics say so", func() bool {
		body := fetch(t, url+"/metrics")
		return strings.Contains(body, "\nauthz_decisions_dropped_total 1\n") && strings.Contains(body, "\nauthz_decisions_recorded_total 1\n")
	})
	assert.Contains(t, fetch(t, url+"/metrics"), "\nauthz_copy_revision 2\n")
	assert.Contains(t, fetch(t, url+"/readyz?verbose"), "copy")
	assert.NoError(t, s.stop())
	assert.NotContains(t, out.buffer.String(), "first")
	assert.Contains(t, out.buffer.String(), "second")
}

// A failing writer fails once.
type failing struct {
	failed bool
	buffer bytes.Buffer
}

func (f *failing) Write(p []byte) (int, error) {
	if !f.failed {
		f.failed = true
		return 0, errors.New("the disk is full")
	}
	return f.buffer.Write(p)
}

func adminURL(t *testing.T, s *server) string {
	t.Helper()
	_, after, found := strings.Cut(s.log.String(), `msg="for operators" `)
	require.True(t, found)
	_, url, _ := strings.Cut(after, " url=")
	url, _, _ = strings.Cut(url, "\n")
	return url
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	require.NoError(t, err)
	return body.String()
}
