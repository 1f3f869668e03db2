package authzserver

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/reqid"
)

// A loader keeps the cache equal to the apiserver's database: it asks what has changed at the
// start, on news, and every so often without any. It is one goroutine, so answers come in order.
type loader struct {
	feed  *feedClient
	cache *cache
	poll  time.Duration // between two questions without news
	pace  time.Duration // between two questions at least, so that many changes are one answer
	log   *slog.Logger

	news   chan string // holds one request: the ID of what caused it
	failed atomic.Pointer[error]
}

// An apiserver that takes long has much to do, so the loader leaves it four fifths of the time: but
// rests for so many times its pace at most.
const maxRest = 8

// Pauses after a load that failed: from the first to the last, each twice as long as the one
// before.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = time.Second
)

func newLoader(feed *feedClient, cache *cache, poll, pace time.Duration, log *slog.Logger) *loader {
	return &loader{feed: feed, cache: cache, poll: poll, pace: pace, log: log, news: make(chan string, 1)}
}

// ask has the loader begin a load, which gets this request ID if it is valid. It does not block. A
// load that has begun already does not count, because the apiserver may have read its database
// before the change that this is about.
func (l *loader) ask(requestID string) {
	select {
	case l.news <- requestID:
	default: // one is waiting
	}
}

// run loads until ctx ends, and then returns nil.
func (l *loader) run(ctx context.Context) error {
	wait, pause := time.Duration(0), firstPause
	for {
		requestID := ""
		select {
		case <-ctx.Done():
			return nil
		case requestID = <-l.news:
		case <-time.After(wait):
		}
		begin := time.Now()
		if l.loadOnce(ctx, requestID) {
			wait, pause = around(l.poll), firstPause
		} else {
			wait, pause = around(pause), min(2*pause, lastPause)
		}
		took := time.Since(begin)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(max(l.pace-took, 4*took), maxRest*l.pace)):
		}
	}
}

// loadOnce reports whether it went well. The ID that it gives the load is in the log of the
// apiserver, too.
func (l *loader) loadOnce(ctx context.Context, requestID string) bool {
	loadCtx, err := reqid.NewContext(ctx, requestID)
	if err != nil { // none, or from a message that anybody could have sent
		loadCtx, _ = reqid.NewContext(ctx, reqid.New())
	}
	begin, held := time.Now(), l.cache.held()
	changes, err := l.feed.changes(loadCtx, held)
	switch {
	case ctx.Err() != nil:
		return true // it was broken off
	case err != nil:
		if l.failed.Swap(&err) == nil { // once, not at each attempt
			l.log.ErrorContext(loadCtx, "cannot load, trying until it works", "error", err)
		}
		return false
	case changes.revision == held:
		l.cache.confirm(begin)
	default:
		l.cache.apply(changes, begin)
		if changes.full && held != (revision{}) {
			l.log.WarnContext(loadCtx, "the apiserver does not know the revision that was held: the database was restored, or this server was away for long",
				"held", held.number, "revision", changes.revision.number)
		}
		l.log.InfoContext(loadCtx, "loaded", "revision", changes.revision.number, "full", changes.full, "secrets", len(changes.secrets),
			"policies", len(changes.policies), "deleted", len(changes.deleted), "took", time.Since(begin).Round(10*time.Microsecond))
	}
	if l.failed.Swap(nil) != nil {
		l.log.InfoContext(loadCtx, "loading works again")
	}
	return true
}

// lastError returns why the last load failed, or nil.
func (l *loader) lastError() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// around returns d, or up to a fifth less, so that not all servers come at the same moment.
func around(d time.Duration) time.Duration { return d - rand.N(d/5+1) }

// newSubscriber has the loader asked when something has changed, or may have.
func newSubscriber(client *redis.Client, channel string, l *loader, log *slog.Logger) *notify.Subscriber {
	return &notify.Subscriber{
		Client:       client,
		Channel:      channel,
		Log:          log,
		Ping:         3 * time.Second,
		MaxBackoff:   2 * time.Second,
		OnSubscribed: func() { l.ask("") },
		OnMessage: func(m notify.Message) {
			if m.Version > l.cache.held().number {
				l.ask(m.RequestID)
			}
		},
	}
}
