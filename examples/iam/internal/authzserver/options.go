package authzserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Options say how one authzserver runs. Begin with [Defaults].
type Options struct {
	Addr      string       // host:port to answer at; port 0 takes a free one
	Listener  net.Listener // if not nil, answer there; Addr is not used then, and Run closes it
	Feed      string       // host:port of the apiserver's gRPC feed
	FeedToken string       // shared with the apiserver
	Redis     string       // host:port of the Redis server that the apiserver publishes to

	// Debounce is how long after the news of a change it is fetched, so that many changes at once are one fetch.
	Debounce time.Duration
	// Reload is how often everything is compared with the apiserver without any news: the most that this server can be behind while
	// Redis is away.
	Reload time.Duration

	Delay time.Duration // how long to go on serving when asked to stop, while balancers notice
	Grace time.Duration // how long stopping may take in all

	Log     *slog.Logger      // its handler should be one of reqid.LogHandler
	OnReady func(addr string) // if not nil, called once this server answers at addr and is ready
}

// Defaults returns the options that most programs leave as they are. The addresses, the token and the logger are missing.
func Defaults() Options {
	return Options{Debounce: 50 * time.Millisecond, Reload: 30 * time.Second, Grace: 25 * time.Second}
}

func (o Options) validate() error {
	switch {
	case o.Addr == "" && o.Listener == nil:
		return errors.New("the address to answer at is empty, want host:port")
	case o.Feed == "":
		return errors.New("the address of the apiserver's feed is empty, want host:port")
	case o.FeedToken == "":
		return errors.New("the token for the apiserver's feed is empty")
	case o.Redis == "":
		return errors.New("the address of Redis is empty, want host:port")
	case o.Debounce < 0:
		return fmt.Errorf("debounce is %v, must not be negative", o.Debounce)
	case o.Reload <= 0:
		return fmt.Errorf("reload is %v, must be positive", o.Reload)
	case o.Grace <= 0:
		return fmt.Errorf("grace is %v, must be positive", o.Grace)
	case o.Delay < 0:
		return fmt.Errorf("delay is %v, must not be negative", o.Delay)
	case o.Delay >= o.Grace:
		return fmt.Errorf("delay is %v, which leaves nothing of grace %v to stop in", o.Delay, o.Grace)
	case o.Log == nil:
		return errors.New("there is no logger")
	}
	return nil
}
