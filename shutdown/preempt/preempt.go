package preempt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/internal/inorder"
	"github.com/gracekit/gracekit/shutdown"
)

// A Notice says that the provider is about to take the machine away, or to disturb it. It is the
// reason of the shutdown that it requests:
//
//	notice, ok := errors.AsType[*preempt.Notice](context.Cause(gs.Context()))
type Notice struct {
	Provider string // "AWS", "Google Cloud" or "Azure"
	Kind     Kind   // what happens to the machine
	Event    string // what the provider calls it, such as "terminate" or "Redeploy"

	// At is when it happens, by the clock of this machine even if that differs from the provider's.
	// It is zero if the provider does not say.
	At time.Time

	id          string // the same for as long as the notice stands
	acknowledge bool   // the provider waits for an acknowledgement, and nobody else has to give it
}

// Error returns "preempt: AWS: preemption (terminate) at 2026-11-27T08:22:00Z".
func (n *Notice) Error() string {
	text := fmt.Sprintf("preempt: %s: %s (%s)", n.Provider, n.Kind, n.Event)
	if !n.At.IsZero() {
		text += " at " + n.At.UTC().Format(time.RFC3339)
	}
	return text
}

// A Kind is what happens to the machine. Only some kinds stop the service by default, see [Kinds].
type Kind string

const (
	// Preemption: a machine that may be reclaimed (spot, preemptible) is. It stops the service.
	Preemption Kind = "preemption"

	// Termination: the machine is deleted for good, as when its group becomes smaller. It stops the
	// service.
	Termination Kind = "termination"

	// Maintenance: the machine is switched off, rebooted or moved, and loses what is in its memory.
	// It stops the service.
	Maintenance Kind = "maintenance"

	// Pause: the machine is frozen and goes on later, some seconds after a live migration, any time
	// after an AWS hibernation.
	Pause Kind = "pause"

	// Rebalance: AWS recommends to replace the machine, because it is likely to be reclaimed soon.
	Rebalance Kind = "rebalance recommendation"
)

// A cloud is what differs between the providers.
type cloud struct {
	name  string        // of the manager, and the Provider of its notices
	often time.Duration // the default of Every

	// connect makes sure that it is this provider's metadata service that answers, and returns what
	// to ask it. Each ask is called again and again, from a goroutine of its own. It may wait up to
	// every for a change.
	connect func(ctx context.Context, c *client, every time.Duration) ([]ask, error)
}

// An ask returns the notices that stand. It may also return those that it understands beside an
// error about others.
type ask func(context.Context) ([]*Notice, error)

// soon is how far ahead a notice stops the service. Azure gives 15 minutes' notice of a reboot, but
// some days' of a redeployment from hardware that it expects to fail.
const soon = 20 * time.Minute

// manager runs one goroutine from Start on, and then one for each ask.
type manager struct {
	cloud
	config
	client *client
	others inorder.Queue // calls of OnOther

	owed atomic.Pointer[[]string] // the ids of notices to acknowledge

	mu       sync.Mutex
	reported time.Time // when a failure was reported
}

func newManager(c cloud, opts []Option) *manager {
	m := &manager{cloud: c, config: newConfig(c, opts)}
	m.client = newClient(m.endpoint, m.dial)
	return m
}

func (m *manager) Name() string { return m.name }

// Start never fails, and does not wait for an answer.
func (m *manager) Start(ctx context.Context, request func(reason error)) error {
	m.others.Label, m.others.Limit = "shutdown/"+m.name, mostOthers
	m.others.Fail = control.FromContext(ctx).Failed
	go func() {
		asks, err := m.open(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			control.FromContext(ctx).Info(fmt.Sprintf("nothing is watched: %v", err))
			return
		}
		control.FromContext(ctx).Info("notices of the provider are watched")
		for _, ask := range asks {
			go m.watch(ctx, ask, request)
		}
	}()
	return nil
}

// mostOthers is how many calls of OnOther may wait. Providers announce a few events a day.
const mostOthers = 100

// openWait is how long the metadata service gets to answer at all. On other machines nothing has
// its address.
const openWait = 5 * time.Second

// open connects. A service that is there but busy is asked until it answers.
func (m *manager) open(ctx context.Context) ([]ask, error) {
	end := time.Now().Add(openWait)
	for failures := 0; ; failures++ {
		asks, err := m.connect(ctx, m.client, m.every)
		if err == nil {
			return asks, nil
		}
		busy := isBusy(err)
		if !busy && !time.Now().Before(end) {
			return nil, err
		}
		pause := m.backoff(failures)
		if busy {
			m.report(ctx, failures, err)
		} else {
			pause = min(pause, time.Until(end))
		}
		if !sleep(ctx, pause) {
			return nil, ctx.Err()
		}
	}
}

// watch asks until ctx ends. It goes on after a request: a deadline may still come nearer.
func (m *manager) watch(ctx context.Context, ask ask, request func(error)) {
	known := ids{}
	failures := 0
	for {
		begun := time.Now()
		notices, err := ask(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := time.Until(begun.Add(m.every)) // an ask that has waited itself is followed by the next
		if err == nil || len(notices) > 0 {
			known = m.act(notices, known, request)
		}
		if err == nil {
			failures = 0
		} else {
			m.report(ctx, failures, err)
			pause = m.backoff(failures)
			failures++
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// act requests the shutdown, each time it sees a notice that stops the service, and tells OnOther
// of a notice that does not, once. It returns the ids of the latter.
func (m *manager) act(notices []*Notice, known ids, request func(error)) ids {
	others := ids{}
	var owed []string
	for _, n := range notices {
		n.Provider = m.name
		if !m.stops(n) {
			others[n.id] = true
			if m.onOther != nil && !known[n.id] {
				m.others.Add(func() { m.onOther(n) })
			}
			continue
		}
		if n.acknowledge {
			owed = append(owed, n.id)
		}
		var reason error = n
		if !n.At.IsZero() {
			reason = shutdown.Before(n.At, n)
		}
		request(reason)
	}
	m.owed.Store(&owed)
	return others
}

// ids are those of notices.
type ids map[string]bool

func (m *manager) stops(n *Notice) bool {
	return m.kinds[n.Kind] && (n.At.IsZero() || time.Until(n.At) <= soon)
}

const (
	// shortestPause and longestPause limit the pause after a failure. The shortest notice stands
	// for 30 seconds.
	shortestPause = 10 * time.Millisecond
	longestPause  = 10 * time.Second
)

// backoff returns how long to wait after a failure. The first pause is a quarter of the interval,
// so that one failure does not make a notice come late.
func (m *manager) backoff(failures int) time.Duration {
	d := max(m.every/4, shortestPause) << min(failures, 10)
	d = min(d, max(m.every, longestPause))
	return d/2 + rand.N(d/2+1)
}

// reportEvery keeps a service that fails for days out of the way of other log lines.
const reportEvery = 10 * time.Minute

// report reports the third failure in a row and later ones.
func (m *manager) report(ctx context.Context, failures int, err error) {
	if failures < 2 {
		return
	}
	m.mu.Lock()
	due := m.reported.IsZero() || time.Since(m.reported) >= reportEvery
	if due {
		m.reported = time.Now()
	}
	m.mu.Unlock()
	if due {
		control.FromContext(ctx).Failed(err)
	}
}

// sleep reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
