package preempt_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/preempt"
)

// each runs a test for each provider in a bubble, with a service of the machine that is watched.
func each(t *testing.T, test func(t *testing.T, p provider, n *network, f fake)) {
	t.Helper()
	for _, p := range providers {
		bubble(t, p.name, func(t *testing.T) {
			f := p.service()
			test(t, p, newNetwork(t, f), f)
		})
	}
}

// The figure: from the notice to Draining it takes no longer than Every and 100ms.
func TestNoticeIsSeenWithinAPoll(t *testing.T) {
	for _, every := range []time.Duration{0, 100 * time.Millisecond, time.Second, 7 * time.Second} {
		t.Run(every.String(), func(t *testing.T) {
			each(t, func(t *testing.T, p provider, n *network, f fake) {
				opts := []preempt.Option{preempt.Dial(n.dial)}
				limit := p.every
				if every > 0 {
					opts, limit = append(opts, preempt.Every(every)), every
				}
				s := start(t, p.manager(opts...))
				wait := rand.N(time.Minute)
				time.Sleep(wait)
				require.False(t, s.draining())

				f.preempt()
				begin := time.Now()
				notice := s.notice(t)
				took := time.Since(begin)
				assert.LessOrEqual(t, took, limit+100*time.Millisecond)
				if p.name == "Google Cloud" && wait > limit {
					assert.LessOrEqual(t, took, 100*time.Millisecond, "it answers at the change")
				}

				assert.Equal(t, p.name, notice.Provider)
				assert.Equal(t, preempt.Preemption, notice.Kind)
				assert.Equal(t, p.name, s.Report().Manager)
				cause := &preempt.Notice{}
				require.NoError(t, s.Wait())
				require.ErrorAs(t, context.Cause(s.Context()), &cause)
				assert.Equal(t, notice, cause)
			})
		})
	}
}

// A notice that stands when the service starts, as after a restart of the service.
func TestNoticeBeforeTheStart(t *testing.T) {
	each(t, func(t *testing.T, p provider, n *network, f fake) {
		f.preempt()
		s := start(t, p.manager(preempt.Dial(n.dial)))
		begin := time.Now()
		s.notice(t)
		assert.Zero(t, time.Since(begin))
	})
}

// The stop is over when the machine is taken away.
func TestDeadline(t *testing.T) {
	each(t, func(t *testing.T, p provider, n *network, f fake) {
		s := start(t, p.manager(preempt.Dial(n.dial)),
			shutdown.Grace(time.Hour), shutdown.Tail(time.Minute))
		var deadline time.Time
		require.NoError(t, s.AddCallback(shutdown.Callback{
			Name: "work", Phase: shutdown.PhaseWork,
			Func: func(ctx context.Context) error {
				deadline = shutdown.StopDeadline(ctx)
				return nil
			},
		}))
		time.Sleep(time.Minute)
		f.preempt()
		end := time.Now().Add(30 * time.Second)
		notice := s.notice(t)
		require.NoError(t, s.Wait())
		assert.WithinDuration(t, end, notice.At, time.Second)
		assert.WithinDuration(t, notice.At, deadline, time.Millisecond)
	})
}

// What may answer, or not, where there is no metadata service.
func TestNothingIsWatched(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	elsewhere := http.RedirectHandler("http://login.example.com/", http.StatusFound)
	const spot = `{"action": "terminate", "time": "2000-01-01T00:00:00Z"}`
	for name, h := range map[string]http.Handler{
		"refuses connections":             nil,
		"hangs":                           hang,
		"knows nothing":                   http.NotFoundHandler(),
		"forbids it":                      status(http.StatusForbidden),
		"wants a login":                   status(http.StatusNetworkAuthenticationRequired),
		"redirects to a login":            elsewhere,
		"is a captive portal":             answer("text/html; charset=utf-8", "<html>Welcome!</html>"),
		"is a portal without a type":      answer("", "<html>Welcome!</html>"),
		"says ok to everything":           answer("text/plain", "ok, whatever you want"),
		"says TRUE to everything":         answer("application/text", "TRUE"),
		"sends JSON to everything":        answer("application/json", spot),
		"sends nothing":                   answer("text/plain", ""),
		"sends much":                      answer("text/plain", long),
		"has a content type of no form":   answer("///", "TRUE"),
		"closes the connection":           http.HandlerFunc(abort),
		"sends half of an answer":         http.HandlerFunc(half),
		"begins an answer and then hangs": http.HandlerFunc(trickle),
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p provider, n *network, _ fake) {
				n.set(h)
				s := start(t, p.manager(preempt.Dial(n.dial)))
				time.Sleep(10 * time.Second)
				lines := s.log.take()
				require.Len(t, lines, 1)
				assert.Contains(t, lines[0], "level=INFO")
				assert.Contains(t, lines[0], p.name+": nothing is watched: ")
				assert.LessOrEqual(t, n.requests(), 20)

				time.Sleep(24 * time.Hour)
				assert.Empty(t, s.log.take())
				assert.Zero(t, n.requests())
				assert.False(t, s.draining())
			})
		})
	}
}

func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, "TRUE")
}

func trickle(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "TRUE")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// The metadata services of the others answer something, too.
func TestOfAnotherProvider(t *testing.T) {
	for _, other := range providers {
		t.Run("on "+other.name, func(t *testing.T) {
			each(t, func(t *testing.T, p provider, n *network, _ fake) {
				if p.name == other.name {
					return
				}
				f := other.service()
				f.preempt()
				n.set(f)
				s := start(t, p.manager(preempt.Dial(n.dial)))
				time.Sleep(time.Hour)
				assert.False(t, s.draining())
				lines := s.log.take()
				require.Len(t, lines, 1)
				assert.Contains(t, lines[0], "nothing is watched")
			})
		})
	}
}

// What a metadata service may do while it is ill. It neither stops the service nor fills the log,
// and what is announced afterwards is seen.
func TestServiceThatFails(t *testing.T) {
	const ill = 25 * time.Minute
	elsewhere := http.RedirectHandler("http://other.example.com/", http.StatusTemporaryRedirect)
	var flip atomic.Int64
	for name, h := range map[string]http.Handler{
		"refuses connections":    nil,
		"hangs":                  hang,
		"throttles":              status(http.StatusTooManyRequests),
		"has an error":           status(http.StatusInternalServerError),
		"is not available":       status(http.StatusServiceUnavailable),
		"wants another token":    status(http.StatusUnauthorized),
		"forbids it":             status(http.StatusForbidden),
		"redirects":              elsewhere,
		"is a captive portal":    answer("text/html", "<html>TRUE</html>"),
		"sends much":             answer("application/json", strings.Repeat(" ", 70_000)),
		"sends nonsense":         answer("", "{]"),
		"sends half an answer":   http.HandlerFunc(half),
		"hangs within an answer": http.HandlerFunc(trickle),
		"fails now and then": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if flip.Add(1)%7 < 5 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			w.WriteHeader(http.StatusNotFound)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p provider, n *network, f fake) {
				s := start(t, p.manager(preempt.Dial(n.dial)))
				time.Sleep(time.Minute)
				assert.Len(t, s.log.take(), 1, "that notices are watched")
				n.set(h)
				n.requests()

				time.Sleep(ill)
				require.False(t, s.draining())
				lines := s.log.take()
				assert.NotEmpty(t, lines)
				assert.LessOrEqual(t, len(lines), int(ill/(10*time.Minute))+1)
				for _, line := range lines {
					assert.Contains(t, line, `level=ERROR msg="shutdown manager failed" error="`+p.name+": ")
					assert.Less(t, len(line), 500)
				}
				healthy := 3 * int(ill/p.every) // AWS has three questions
				assert.LessOrEqual(t, n.requests(), 2*healthy, "with a token for each")

				n.set(f)
				f.preempt()
				begin := time.Now()
				s.notice(t)
				assert.LessOrEqual(t, time.Since(begin), 15*time.Second)
			})
		})
	}
}

// More than 64 KiB are not read, even if the beginning would be a notice.
func TestAnswerThatIsTooLong(t *testing.T) {
	each(t, func(t *testing.T, p provider, n *network, f fake) {
		s := start(t, p.manager(preempt.Dial(n.dial)))
		time.Sleep(time.Minute)
		n.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.ServeHTTP(w, r)
			_, _ = io.WriteString(w, strings.Repeat(" ", 64<<10))
		}))
		time.Sleep(time.Minute) // none is left that waits for a change
		f.preempt()
		time.Sleep(10 * time.Minute)
		assert.False(t, s.draining())
		assert.Contains(t, strings.Join(s.log.take(), "\n"), "the answer has more than 65536 bytes")
		n.set(f)
		s.notice(t)
	})
}

// A failure, a hang included, does not make a notice come late by more than the failure takes.
func TestOneFailure(t *testing.T) {
	for name, h := range map[string]http.Handler{"error": status(500), "hang": hang} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p provider, n *network, f fake) {
				s := start(t, p.manager(preempt.Dial(n.dial)))
				time.Sleep(time.Minute)
				n.set(h)
				n.requests()
				for n.requests() == 0 {
					time.Sleep(time.Millisecond)
				}
				n.set(f)
				f.preempt()
				begin := time.Now()
				s.notice(t)
				limit := p.every + 100*time.Millisecond
				if name == "hang" {
					limit += 2*time.Second + p.every/4 // the longest an answer may take, and a pause
				}
				assert.LessOrEqual(t, time.Since(begin), limit)
				for _, line := range s.log.take() {
					assert.NotContains(t, line, "level=ERROR")
				}
			})
		})
	}
}

// A service that is there but busy when the program starts is asked again.
func TestBusyAtTheStart(t *testing.T) {
	each(t, func(t *testing.T, p provider, n *network, f fake) {
		n.set(status(http.StatusServiceUnavailable))
		s := start(t, p.manager(preempt.Dial(n.dial)))
		time.Sleep(15 * time.Minute)
		assert.LessOrEqual(t, len(s.log.take()), 2)
		n.set(f)
		f.preempt()
		begin := time.Now()
		s.notice(t)
		assert.LessOrEqual(t, time.Since(begin), 20*time.Second)
	})
}

// A service that begins to answer within some seconds, as while a machine boots.
func TestLateAtTheStart(t *testing.T) {
	each(t, func(t *testing.T, p provider, n *network, f fake) {
		n.set(nil)
		s := start(t, p.manager(preempt.Dial(n.dial)))
		time.Sleep(3 * time.Second)
		n.set(f)
		time.Sleep(5 * time.Second)
		f.preempt()
		s.notice(t)
	})
}

// The first stop ends all goroutines, whatever they are waiting for; the bubble would not end.
func TestEnd(t *testing.T) {
	for name, h := range map[string]http.Handler{"refuses": nil, "hangs": hang, "busy": status(503)} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p provider, n *network, f fake) {
				for _, watched := range []bool{false, true} {
					if watched {
						n.set(f)
					} else {
						n.set(h)
					}
					s := start(t, p.manager(preempt.Dial(n.dial)))
					time.Sleep(time.Second)
					n.set(h)
					time.Sleep(rand.N(4 * time.Second))
					s.log.take()
					begin := time.Now()
					s.end()
					synctest.Wait()
					assert.Zero(t, time.Since(begin))
					for _, line := range s.log.take() {
						assert.NotContains(t, line, "level=ERROR")
					}
				}
			})
		})
	}
}

// What of the kinds stops the service is up to Kinds; the others are told, each once.
func TestKinds(t *testing.T) {
	bubble(t, "a rebalance recommendation does not stop", func(t *testing.T) {
		f := newFakeAWS()
		var others told
		s := start(t, preempt.AWS(preempt.Dial(newNetwork(t, f).dial), others.option()))
		time.Sleep(time.Minute)
		f.rebalance()
		time.Sleep(10 * time.Minute)
		require.False(t, s.draining())
		require.Equal(t, []preempt.Kind{preempt.Rebalance}, others.all())

		f.set("events/recommendations/rebalance", "") // it is withdrawn, and then there is another
		time.Sleep(time.Minute)
		f.rebalance()
		time.Sleep(time.Minute)
		assert.Len(t, others.all(), 2)
	})
	bubble(t, "unless it shall, and then the interruption shortens the stop", func(t *testing.T) {
		f := newFakeAWS()
		s := start(t, preempt.AWS(preempt.Dial(newNetwork(t, f).dial),
			preempt.Kinds(preempt.Rebalance, preempt.Preemption)), shutdown.Grace(time.Hour))
		var end time.Time
		require.NoError(t, s.AddCallback(shutdown.Callback{
			Name: "work", Phase: shutdown.PhaseWork,
			Func: func(ctx context.Context) error {
				f.spot("stop", 2*time.Minute)
				end = time.Now().Add(2 * time.Minute)
				<-ctx.Done()
				return nil
			},
		}))
		time.Sleep(time.Minute)
		f.rebalance()
		assert.EqualError(t, s.notice(t), "preempt: AWS: rebalance recommendation (rebalance)")
		_ = s.Wait()
		assert.WithinDuration(t, end, time.Now(), 5*time.Second)
	})
	bubble(t, "with none, nothing stops", func(t *testing.T) {
		f := newFakeAWS()
		var others told
		s := start(t, preempt.AWS(preempt.Dial(newNetwork(t, f).dial), preempt.Kinds(), others.option()))
		f.spot("terminate", 2*time.Minute)
		f.set("autoscaling/target-lifecycle-state", "Terminated")
		time.Sleep(10 * time.Minute)
		assert.False(t, s.draining())
		assert.ElementsMatch(t, []preempt.Kind{preempt.Preemption, preempt.Termination}, others.all())
	})
	bubble(t, "a function that panics or hangs harms nothing", func(t *testing.T) {
		f := newFakeAWS()
		n := newNetwork(t, f)
		s := start(t, preempt.AWS(preempt.Dial(n.dial), preempt.OnOther(func(n *preempt.Notice) {
			if n.Kind == preempt.Rebalance {
				panic(errors.New("boom"))
			}
			<-t.Context().Done()
		})))
		f.rebalance()
		time.Sleep(time.Minute)
		lines := strings.Join(s.log.take(), "\n")
		assert.Contains(t, lines, "panic: boom")
		f.spot("hibernate", time.Minute)
		time.Sleep(time.Minute)
		f.set("autoscaling/target-lifecycle-state", "Terminated")
		assert.Equal(t, preempt.Termination, s.notice(t).Kind)
	})
}

// A later notice of the same kind is another one.
func TestKindsOfGoogleCloud(t *testing.T) {
	bubble(t, "maintenance", func(t *testing.T) {
		f := newFakeGoogle()
		n := newNetwork(t, f)
		var others told
		s := start(t, preempt.GoogleCloud(preempt.Dial(n.dial), others.option()))
		for i := range 3 {
			time.Sleep(10 * time.Minute)
			f.set("instance/maintenance-event", "MIGRATE_ON_HOST_MAINTENANCE")
			time.Sleep(time.Minute)
			f.set("instance/maintenance-event", "NONE")
			time.Sleep(time.Minute)
			require.Equal(t, slices.Repeat([]preempt.Kind{preempt.Pause}, i+1), others.all())
		}
		f.set("instance/maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE")
		begin := time.Now()
		notice := s.notice(t)
		assert.LessOrEqual(t, time.Since(begin), 5*time.Second)
		assert.Equal(t, preempt.Maintenance, notice.Kind)
		assert.WithinDuration(t, begin.Add(60*time.Second), notice.At, 5*time.Second)
		assert.Equal(t, "preempt: Google Cloud: maintenance (TERMINATE_ON_HOST_MAINTENANCE) at "+
			notice.At.UTC().Format(time.RFC3339), notice.Error())
	})
	bubble(t, "a server that does not wait is not asked without a pause", func(t *testing.T) {
		f := newFakeGoogle()
		f.hasty = true
		n := newNetwork(t, f)
		s := start(t, preempt.GoogleCloud(preempt.Dial(n.dial)))
		time.Sleep(10 * time.Minute)
		assert.LessOrEqual(t, n.requests(), 2*(600/5+2))
		assert.False(t, s.draining())
	})
	bubble(t, "a server without one of the values", func(t *testing.T) {
		f := newFakeGoogle()
		f.set("instance/maintenance-event", "")
		n := newNetwork(t, f)
		s := start(t, preempt.GoogleCloud(preempt.Dial(n.dial)))
		time.Sleep(10 * time.Minute)
		assert.Len(t, s.log.take(), 1)
		f.preempt()
		s.notice(t)
	})
}
