// Package notify carries the news that the database has changed from the apiserver to every
// authzserver, over a Redis channel.
//
// A message is a hint, not data: it says which version to fetch. Redis keeps no message for a
// subscriber that is away, so whoever subscribes loads everything after each (re)subscription; see
// [Subscriber].
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/gracekit/gracekit/jsonx"
	"github.com/gracekit/gracekit/reqid"
)

// Channel is the Redis channel of all messages, unless another one is chosen.
const Channel = "iam.cluster.notifications"

// An Event says what kind of thing has changed.
type Event string

const (
	SecretChanged Event = "SecretChanged"
	PolicyChanged Event = "PolicyChanged"
	UserChanged   Event = "UserChanged" // deleted, disabled or enabled, with all that it has
)

// A Message is what stands on the channel: {"event":"PolicyChanged","version":42,"requestID":"…"}.
type Message struct {
	Event     Event  `json:"event"`
	Version   uint64 `json:"version"`             // grows with each change of anything that the authzservers hold
	RequestID string `json:"requestID,omitempty"` // of the request that made the change; may be anything
}

// Parse reads a message. Unknown members are ignored, so that a newer apiserver may send more.
func Parse(payload string) (Message, error) {
	var m Message
	if err := jsonx.Unmarshal([]byte(payload), &m); err != nil {
		return Message{}, fmt.Errorf("notify: %w", err)
	}
	if m.Event != SecretChanged && m.Event != PolicyChanged && m.Event != UserChanged {
		return Message{}, fmt.Errorf("notify: event %q, want %q, %q or %q", m.Event, SecretChanged, PolicyChanged, UserChanged)
	}
	if m.Version == 0 {
		return Message{}, errors.New("notify: version is 0 or missing, want that of the change")
	}
	return m, nil
}

// NewClient returns a client for a Redis server, to be closed by the caller. It does not connect
// yet.
//
//	127.0.0.1:6379
//	redis://user:password@redis.example.com:6379/2     a database other than 0
//	rediss://user:password@redis.example.com:6379      with TLS
func NewClient(server string) (*redis.Client, error) {
	options := &redis.Options{Addr: server}
	if strings.Contains(server, "://") {
		var err error
		if options, err = redis.ParseURL(server); err != nil { // whose text has the password in it
			return nil, errors.New("notify: the URL of Redis is not one, want redis://user:password@host:port/database, or rediss:// for TLS")
		}
	} else if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, fmt.Errorf("notify: the address of Redis is %q, want host:port or redis://…", server)
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = 2*time.Second, 2*time.Second, 2*time.Second
	options.ContextTimeoutEnabled = true // a deadline of the caller's counts
	// Notices of a hosted service that will move the server. Asking for them is an error on all
	// others.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(options), nil
}

// publishTimeout bounds what a Redis that hangs costs the request whose change is published.
const publishTimeout = time.Second

// A Publisher tells the authzservers of changes. It is safe for concurrent use.
type Publisher struct {
	client  *redis.Client
	channel string
}

// NewPublisher returns a publisher that uses client, which stays the caller's to close.
func NewPublisher(client *redis.Client, channel string) *Publisher {
	return &Publisher{client, channel}
}

// Publish sends one message, to be called after the commit of the change and only then. It takes a
// second at most, and is not cut short when ctx ends: the change is made, whether its client waits
// for the answer or not.
//
// An error is no reason to fail the request: log it. The authzservers then learn of the change at
// their next periodic load.
func (p *Publisher) Publish(ctx context.Context, event Event, version uint64) error {
	id := reqid.FromContext(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	payload, err := jsonx.Marshal(Message{Event: event, Version: version, RequestID: id})
	if err != nil {
		return err
	}
	if err := p.client.Publish(ctx, p.channel, payload).Err(); err != nil {
		return fmt.Errorf("notify: publish %s %d: %w", event, version, err)
	}
	return nil
}

// SetLogger gives go-redis, which has one logger for the whole process, a place for what it has to
// say: debug messages, since everything that fails is an error of the call, too. It is for main,
// before the first client is made.
func SetLogger(log *slog.Logger) { redis.SetLogger(redisLogger{log}) }

type redisLogger struct{ log *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis: "+fmt.Sprintf(format, args...))
}
