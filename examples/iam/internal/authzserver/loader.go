package authzserver

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/reqid"
)

// A loader keeps one kind equal to the apiserver's: it loads at the start, when it is asked to, and every so often without being
// asked. Loads never overlap.
type loader struct {
	kind    string
	load    func(context.Context) (changed bool, err error)
	version func() uint64 // that is held
	reload  time.Duration
	log     *slog.Logger

	asked  chan time.Duration // holds one request: within what time to load
	failed atomic.Pointer[error]
}

// Pauses after a load that failed: from the first to the last, each twice as long as the one before.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

func newLoader(kind string, load func(context.Context) (bool, error), version func() uint64, reload time.Duration, log *slog.Logger) *loader {
	return &loader{kind: kind, load: load, version: version, reload: reload, log: log, asked: make(chan time.Duration, 1)}
}

// ask has the loader begin a load within this time. It does not block. A load that has begun already does not count, because it may
// have read the database before the change that this is about.
func (l *loader) ask(within time.Duration) {
	select {
	case l.asked <- within:
	default: // one is waiting, which is at most a debounce later
	}
}

// run loads until ctx ends, and then returns nil.
func (l *loader) run(ctx context.Context) error {
	due, pause := time.Now(), firstPause
	for {
		select {
		case <-ctx.Done():
			return nil
		case within := <-l.asked:
			if at := time.Now().Add(within); at.Before(due) {
				due = at
			}
			continue // a later request does not put off an earlier one
		case <-time.After(time.Until(due)):
		}
		if l.loadOnce(ctx) {
			due, pause = time.Now().Add(around(l.reload)), firstPause
		} else {
			due, pause = time.Now().Add(around(pause)), min(2*pause, lastPause)
		}
	}
}

// loadOnce reports whether it went well. The ID that it gives the load is in the log of the apiserver, too.
func (l *loader) loadOnce(ctx context.Context) bool {
	loadCtx, err := reqid.NewContext(ctx, reqid.New())
	if err != nil { // New gives valid ones
		panic(err)
	}
	begin := time.Now()
	changed, err := l.load(loadCtx)
	switch {
	case ctx.Err() != nil:
		return true // it was broken off
	case err != nil:
		if l.failed.Swap(&err) == nil { // once, not at each attempt
			l.log.ErrorContext(loadCtx, "cannot load "+l.kind+", trying until it works", "error", err)
		}
		return false
	case changed:
		l.log.InfoContext(loadCtx, "loaded "+l.kind, "version", l.version(), "took", time.Since(begin).Round(10*time.Microsecond))
	}
	if l.failed.Swap(nil) != nil {
		l.log.InfoContext(loadCtx, "loading "+l.kind+" works again")
	}
	return true
}

// lastError returns why the last load failed, or nil.
func (l *loader) lastError() error {
	if err := l.failed.Load(); err != nil {
		return errors.New(l.kind + ": " + (*err).Error())
	}
	return nil
}

// around returns d, or up to a fifth less, so that not all servers come at the same moment.
func around(d time.Duration) time.Duration { return d - rand.N(d/5+1) }

// newSubscriber has the loaders asked when something has changed, or may have.
func newSubscriber(client *redis.Client, secrets, policies *loader, debounce time.Duration, log *slog.Logger) *notify.Subscriber {
	return &notify.Subscriber{
		Client:     client,
		Log:        log,
		Ping:       3 * time.Second,
		MaxBackoff: 2 * time.Second,
		OnSubscribed: func() {
			secrets.ask(0)
			policies.ask(0)
		},
		OnMessage: func(m notify.Message) {
			l := secrets
			if m.Event == notify.PolicyChanged {
				l = policies
			}
			if m.Version > l.version() {
				l.ask(debounce)
			}
		},
	}
}
