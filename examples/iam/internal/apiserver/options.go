package apiserver

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// Options say how one apiserver runs. Begin with [Defaults].
type Options struct {
	Addr            string // host:port of the API; port 0 takes a free one
	TLSCert, TLSKey string // files with the certificate and the key of the API and the feed, in PEM; without them they have no TLS
	AdminAddr       string // host:port on loopback for metrics, health, profiles and version; none if empty

	TrustedProxies []string          // addresses or ranges whose X-Forwarded-For is believed
	Middlewares    []string          // by name, see middleware.Named; the first is the outermost
	Middleware     middleware.Config // what they read

	Feed      string // host:port for the authzservers; must be on loopback without TLS, since keys travel over it
	FeedToken string // shared with the authzservers
	DB        string // memory, sqlite:<file>, mysql:<DSN> or postgres://<…>; see store.Open
	Redis     string // host:port or URL of the server on which changes are published
	Channel   string // of Redis

	// InstanceIDKey is what a new database gets for its instance IDs; if empty, random bytes. It is
	// for tests, where one process has several databases.
	InstanceIDKey []byte

	LoginKey        []byte        // signs the tokens of logins, 32 bytes at least; the same for all apiservers of a database
	LoginTTL        time.Duration // how long these tokens are valid
	LoginsPerSecond float64       // how often one client may try to log in; ten times as often in a burst
	BcryptCost      int           // of the passwords

	// What one user may have. A policy costs each authzserver some twelve times its length in
	// memory.
	MaxSecrets, MaxPolicies, MaxPolicyLength int // the length is that of all of a user's documents, in characters

	CountByGroup bool // whether the list of users counts their policies in one query, and not in one each

	AdminPassword string // of the user admin, who is created in a new database
	OnFirstStart  func() // if not nil, called when that was done

	Delay time.Duration // how long to go on serving when asked to stop, while balancers notice
	Grace time.Duration // how long stopping may take in all

	Log     *slog.Logger            // its handler should be one of reqid.LogHandler
	Report  io.Writer               // if not nil, gets a timeline of the stop
	OnReady func(addr, feed string) // if not nil, called once this server answers at these addresses and is ready
}

// Defaults returns the options that most programs leave as they are. The addresses, the secrets and
// the logger are missing.
func Defaults() Options {
	return Options{
		DB: "memory", Channel: notify.Channel, LoginTTL: time.Hour, LoginsPerSecond: 2, Grace: 25 * time.Second,
		BcryptCost:  12, // about a quarter of a second
		Middlewares: []string{"requestid", "recovery", "logger", "secure", "options", "nocache"},
		Middleware: middleware.Config{
			CORS: middleware.CORSConfig{
				Methods: []string{"GET", "POST", "PUT", "DELETE"}, Headers: []string{"Authorization", "Content-Type", "X-Request-ID"}, MaxAge: time.Hour,
			},
			Limit: middleware.RateLimitConfig{PerSecond: 50, Burst: 100, MaxClients: 10_000},
			Dump:  middleware.DumpConfig{MaxBody: 2048},
		},
		MaxSecrets: 10, MaxPolicies: 1000, MaxPolicyLength: 256 << 10,
	}
}

const minLoginKey = 32

// Validate names everything that is wrong and can be seen before anything is started.
func (o Options) Validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	check(o.Addr != "", "the address of the API is empty, want host:port")
	check((o.TLSCert == "") == (o.TLSKey == ""), "of the certificate and the key of the API one is missing, want both or none")
	check(o.Feed != "", "the address of the feed is empty, want host:port")
	check(o.Redis != "", "the address of Redis is empty, want host:port or a URL")
	check(o.Channel != "", "the channel of Redis is empty")
	check(len(o.FeedToken) >= feed.MinToken, "the token of the feed has %d bytes, want at least %d", len(o.FeedToken), feed.MinToken)
	check(len(o.LoginKey) >= minLoginKey, "the key of the logins has %d bytes, want at least %d", len(o.LoginKey), minLoginKey)
	check(o.LoginTTL > 0, "logins are valid for %v, must be positive", o.LoginTTL)
	check(o.LoginsPerSecond > 0, "logins per second are %v, must be positive", o.LoginsPerSecond)
	check(o.BcryptCost >= bcrypt.MinCost && o.BcryptCost <= bcrypt.MaxCost,
		"the bcrypt cost is %d, want %d to %d", o.BcryptCost, bcrypt.MinCost, bcrypt.MaxCost)
	check(o.MaxSecrets > 0 && o.MaxPolicies > 0 && o.MaxPolicyLength > 0,
		"a user may have %d secrets and %d policies of %d characters, all must be positive", o.MaxSecrets, o.MaxPolicies, o.MaxPolicyLength)
	check(o.Grace > 0, "grace is %v, must be positive", o.Grace)
	check(o.Delay >= 0, "delay is %v, must not be negative", o.Delay)
	check(o.Delay < o.Grace || o.Grace <= 0, "delay is %v, which leaves nothing of grace %v to stop in", o.Delay, o.Grace)
	check(o.Log != nil, "there is no logger")
	_, _, err := newEngine(o, nil) // with what the config file says of middlewares
	return errors.Join(append(wrong, err)...)
}

// listenFeed refuses what would let others read along.
func listenFeed(o Options) (net.Listener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", o.Feed)
	if err != nil {
		return nil, err
	}
	if o.TLSCert == "" && !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("the feed's address is %q, must be one of loopback without TLS: keys travel over it", o.Feed)
	}
	return net.ListenTCP("tcp", tcp)
}
