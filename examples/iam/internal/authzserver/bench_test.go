package authzserver_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
)

// Decisions a second and the 99th percentile, over HTTP with kept-alive connections, the token's
// signature and the access log included; the clients share the processors with the server. 10,000
// policies of 1,000 users, and of one:
//
//	go test -C examples -run='^$' -bench=Authorize -benchtime=20000x ./iam/internal/authzserver
func BenchmarkAuthorize(b *testing.B) {
	const policies = 10_000
	for _, bb := range []struct {
		name    string
		owners  int
		subject string // of policy %d
	}{
		{"1000 owners", 1000, "users:u%d-*"},
		{"one owner, subjects named", 1, "users:u%d-x"},
		{"one owner, wildcards only", 1, "users:u%d-*"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			f := newFeed()
			f.chunk = 1000
			for i := range bb.owners {
				f.secrets = append(f.secrets, newSecret(fmt.Sprintf("secret-%d", i), fmt.Sprintf("owner-%d", i)))
			}
			for i := range policies {
				effect := "allow"
				if i%10 == 0 {
					effect = "deny"
				}
				f.policies = append(f.policies, &feed.Policy{
					Id: fmt.Sprintf("policy-%d", i), OwnerId: fmt.Sprintf("owner-%d", i%bb.owners),
					Document: fmt.Appendf(nil, `{"effect":%q,"subjects":[%q],"actions":["read","list"],"resources":["articles:a%d-*"]}`, effect, fmt.Sprintf(bb.subject, i), i),
				})
			}
			f.start(b, "127.0.0.1:0")
			s := startReady(b, f, miniredis.RunT(b).Addr(), func(o *authzserver.Options) {
				o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
			})
			load(b, s, policies, bb.owners)
		})
	}
}

// load asks b.N times for what is allowed, from 8 clients.
func load(b *testing.B, s *server, policies, owners int) {
	const clients = 8
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	type question struct{ token, body string }
	questions := make([]question, 64)
	for i := range questions {
		asked := (i*policies/len(questions))/10*10 + 3 // the tenth one denies
		questions[i] = question{
			"Bearer " + sign(b, newSecret(fmt.Sprintf("secret-%d", asked%owners), ""), nil),
			fmt.Sprintf(`{"subject":"users:u%d-x","action":"list","resource":"articles:a%d-7"}`, asked, asked),
		}
	}
	var next atomic.Int64
	took := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				q := questions[i%len(questions)]
				begin := time.Now()
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.url+"/v1/authz", strings.NewReader(q.body))
				if err != nil {
					panic(err)
				}
				req.Header.Set("Authorization", q.token)
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				took[i] = time.Since(begin)
				if !strings.HasPrefix(string(body), `{"allowed":true`) {
					b.Errorf("%s: %s", q.body, body)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	require.False(b, b.Failed())
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-µs")
}
