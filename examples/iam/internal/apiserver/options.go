package apiserver

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Options say how one apiserver runs. Begin with [Defaults].
type Options struct {
	Addr string // host:port of the API; port 0 takes a free one
	// Feed is the host:port for the authzservers. Keys travel over it in the clear, so it must be a loopback address; anywhere else
	// it needs TLS, which is one grpc.ServerOption in newFeedServer.
	Feed      string
	FeedToken string // shared with the authzservers
	DB        string // memory, sqlite:<file>, mysql:<DSN> or postgres://<…>; see store.Open
	Redis     string // host:port of the server on which changes are published

	// InstanceIDKey is what a new database gets for its instance IDs; if empty, random bytes. It is for tests, where one process has
	// several databases.
	InstanceIDKey []byte

	LoginKey        []byte        // signs the tokens of logins, 32 bytes at least; the same for all apiservers of a database
	LoginTTL        time.Duration // how long these tokens are valid
	LoginsPerSecond float64       // how often one client may try to log in; ten times as often in a burst
	BcryptCost      int           // of the passwords

	AdminPassword string // of the user admin, who is created in a new database
	OnFirstStart  func() // if not nil, called when that was done

	Delay time.Duration // how long to go on serving when asked to stop, while balancers notice
	Grace time.Duration // how long stopping may take in all

	Log     *slog.Logger            // its handler should be one of reqid.LogHandler
	Report  io.Writer               // if not nil, gets a timeline of the stop
	OnReady func(addr, feed string) // if not nil, called once this server answers at these addresses and is ready
}

// Defaults returns the options that most programs leave as they are. The addresses, the secrets and the logger are missing.
func Defaults() Options {
	return Options{
		DB: "memory", LoginTTL: time.Hour, LoginsPerSecond: 2, Grace: 25 * time.Second,
		BcryptCost: 12, // about a quarter of a second
	}
}

const (
	minLoginKey  = 32
	minFeedToken = 16
)

// validate names everything that is wrong.
func (o Options) validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	check(o.Addr != "", "the address of the API is empty, want host:port")
	check(o.Feed != "", "the address of the feed is empty, want host:port")
	check(o.Redis != "", "the address of Redis is empty, want host:port")
	check(len(o.FeedToken) >= minFeedToken, "the token of the feed has %d bytes, want at least %d", len(o.FeedToken), minFeedToken)
	check(len(o.LoginKey) >= minLoginKey, "the key of the logins has %d bytes, want at least %d", len(o.LoginKey), minLoginKey)
	check(o.LoginTTL > 0, "logins are valid for %v, must be positive", o.LoginTTL)
	check(o.LoginsPerSecond > 0, "logins per second are %v, must be positive", o.LoginsPerSecond)
	check(o.BcryptCost >= bcrypt.MinCost && o.BcryptCost <= bcrypt.MaxCost,
		"the bcrypt cost is %d, want %d to %d", o.BcryptCost, bcrypt.MinCost, bcrypt.MaxCost)
	check(o.Grace > 0, "grace is %v, must be positive", o.Grace)
	check(o.Delay >= 0, "delay is %v, must not be negative", o.Delay)
	check(o.Delay < o.Grace || o.Grace <= 0, "delay is %v, which leaves nothing of grace %v to stop in", o.Delay, o.Grace)
	check(o.Log != nil, "there is no logger")
	return errors.Join(wrong...)
}

// listenFeed refuses what would let others read along.
func listenFeed(addr string) (net.Listener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("the feed's address is %q, must be one of loopback: keys travel over it, and it has no TLS", addr)
	}
	return net.ListenTCP("tcp", tcp)
}
