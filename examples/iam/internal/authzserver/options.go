package authzserver

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/gracekit/gracekit/examples/ginserver/admin"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// Options say how one authzserver runs. Begin with [Defaults].
type Options struct {
	Addr      string       // host:port to answer at; port 0 takes a free one
	Listener  net.Listener // if not nil, answer there; Addr is not used then, and Run closes it
	AdminAddr string       // host:port on loopback for metrics, health, profiles and version; none if empty
	Feeds     []string     // host:port of the apiservers' gRPC feeds; the next one is asked if one does not answer
	FeedCA    []byte       // PEM of the CA that the feeds' certificates come from; without it they have no TLS and have to be on loopback
	FeedToken string       // shared with the apiservers
	Redis     string       // host:port or URL of the Redis server that the apiservers publish to
	Channel   string       // of Redis

	// Debounce is how long after one question to the apiserver the next one is sent at the
	// earliest, so that many changes at once are one answer.
	Debounce time.Duration
	// Poll is how often it is asked without any news: the most that this server is behind while
	// Redis is away.
	Poll time.Duration
	// MaxStale is after how long without an apiserver this server is not ready any more, and denies
	// everything. With 0 it goes on with what it has.
	MaxStale time.Duration

	// Decisions, if not nil, gets a line of JSON for each decision.
	Decisions io.Writer

	Delay time.Duration // how long to go on serving when asked to stop, while balancers notice
	Grace time.Duration // how long stopping may take in all

	Log     *slog.Logger      // its handler should be one of reqid.LogHandler
	OnReady func(addr string) // if not nil, called once this server answers at addr and is ready
}

// Defaults returns the options that most programs leave as they are. The addresses, the token and
// the logger are missing.
func Defaults() Options {
	return Options{
		Channel: notify.Channel, Debounce: 25 * time.Millisecond, Poll: time.Second, MaxStale: 30 * time.Second, Grace: 25 * time.Second,
	}
}

// validate names everything that is wrong.
func (o Options) validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	check(o.Addr != "" || o.Listener != nil, "the address to answer at is empty, want host:port")
	check(len(o.Feeds) > 0, "the address of the apiserver's feed is missing, want host:port")
	for _, addr := range o.Feeds {
		wrong = append(wrong, checkFeed(addr, len(o.FeedCA) > 0))
	}
	check(len(o.FeedCA) == 0 || x509.NewCertPool().AppendCertsFromPEM(o.FeedCA), "the CA of the feed is no certificate in PEM")
	check(len(o.FeedToken) >= feed.MinToken, "the token of the feed has %d bytes, want at least %d", len(o.FeedToken), feed.MinToken)
	check(o.Redis != "", "the address of Redis is empty, want host:port or a URL")
	check(o.Channel != "", "the channel of Redis is empty")
	check(o.Debounce >= 0, "debounce is %v, must not be negative", o.Debounce)
	check(o.Poll > 0, "poll is %v, must be positive", o.Poll)
	check(o.MaxStale >= 0, "max-stale is %v, must not be negative", o.MaxStale)
	check(o.MaxStale == 0 || o.MaxStale > 2*o.Poll, "max-stale is %v, must be more than two polls of %v", o.MaxStale, o.Poll)
	check(o.Grace > 0, "grace is %v, must be positive", o.Grace)
	check(o.Delay >= 0, "delay is %v, must not be negative", o.Delay)
	check(o.Delay < o.Grace || o.Grace <= 0, "delay is %v, which leaves nothing of grace %v to stop in", o.Delay, o.Grace)
	check(o.Log != nil, "there is no logger")
	return errors.Join(wrong...)
}

// checkFeed refuses to send the token, and to get keys, where others could read along.
func checkFeed(addr string, encrypted bool) error {
	if strings.HasPrefix(addr, "unix:") {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return fmt.Errorf("the address of the apiserver's feed is %q, want host:port", addr)
	case encrypted || admin.IsLoopback(host):
		return nil
	}
	return fmt.Errorf("the address of the apiserver's feed is %q, must be one of loopback without TLS: keys travel over it", addr)
}
