package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Subscriber listens on the channel and connects again whenever the connection is lost.
type Subscriber struct {
	Client  *redis.Client // stays the caller's to close
	Channel string
	Log     *slog.Logger

	// OnSubscribed is called after each successful subscription, the first one and every later one.
	// Messages that were sent before are lost, those sent from now on are not: so this is the
	// moment to load everything.
	OnSubscribed func()
	// OnMessage is called for each message.
	OnMessage func(Message)

	// Ping is after how much silence the connection is tested, as a cable that was cut says
	// nothing. It is given up after as much silence again.
	Ping time.Duration
	// MaxBackoff is the longest pause between two attempts to connect. The first is a 32nd of it,
	// each further one twice as long, less a random part so that all authzservers do not come back
	// in the same moment. It begins anew after a connection that lasted as long: one that is lost
	// at once each time is no reason to load everything many times a second.
	MaxBackoff time.Duration
}

// Run listens until ctx ends, and then returns nil. It calls OnSubscribed and OnMessage, one at a
// time, from its own goroutine, so they must not block.
func (s *Subscriber) Run(ctx context.Context) error {
	first := s.MaxBackoff / 32
	pause, told := first, false
	for {
		begin := time.Now()
		err := s.listen(ctx, func() { told = false })
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(begin) >= s.MaxBackoff {
			pause = first
		}
		if !told { // once, not at each attempt
			s.Log.Warn("no connection to Redis, trying until there is one", "error", err)
			told = true
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, s.MaxBackoff)
	}
}

// listen subscribes and handles what comes until the connection is lost. It always returns an
// error.
func (s *Subscriber) listen(ctx context.Context, subscribed func()) error {
	pubsub := s.Client.Subscribe(ctx, s.Channel) // an error here shows again in Receive
	defer pubsub.Close()
	stop := context.AfterFunc(ctx, func() { _ = pubsub.Close() }) // ends a Receive in progress, which ctx alone does not
	defer stop()

	for pinged := false; ; {
		received, err := pubsub.ReceiveTimeout(ctx, s.Ping)
		var netErr net.Error
		switch {
		case err == nil:
			pinged = false
		case !pinged && errors.As(err, &netErr) && netErr.Timeout():
			if err := pubsub.Ping(ctx); err != nil {
				return err
			}
			pinged = true
		default:
			return err
		}
		switch r := received.(type) {
		case *redis.Subscription:
			s.Log.Info("subscribed to changes", "channel", s.Channel)
			subscribed()
			s.OnSubscribed()
		case *redis.Message:
			s.handle(r.Payload)
		}
	}
}

func (s *Subscriber) handle(payload string) {
	m, err := Parse(payload)
	if err != nil {
		s.Log.Warn("ignored a message", "channel", s.Channel, "error", err)
		return
	}
	s.OnMessage(m)
}
