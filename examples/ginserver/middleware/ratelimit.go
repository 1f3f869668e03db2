package middleware

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/gracekit/gracekit/examples/ginserver/response"
)

// RateLimitConfig says how many requests one client may make.
type RateLimitConfig struct {
	PerSecond  float64 `yaml:"perSecond"`  // in the long run
	Burst      int     `yaml:"burst"`      // at once, after a pause
	MaxClients int     `yaml:"maxClients"` // that are remembered at the same time, about 350 bytes each
}

// A RateLimiter holds a token bucket for each client. It is safe for concurrent use and starts no
// goroutine.
//
// A client whose bucket is full again is forgotten, as a new one begins with a full bucket, too. So
// the memory follows the traffic, and maxClients bounds it in any case: beyond that many clients
// the one that was seen the longest ago is forgotten early, which is to its advantage. Whoever has
// more addresses than maxClients needs another defence than this.
type RateLimiter struct {
	limit  rate.Limit
	burst  int
	refill time.Duration // after which an unused bucket is full

	mu      sync.Mutex
	clients *simplelru.LRU[netip.Prefix, *client] // in the order of use
}

type client struct {
	bucket *rate.Limiter
	seen   time.Time
}

// NewRateLimiter returns a limiter that knows nobody yet.
func NewRateLimiter(config RateLimitConfig) (*RateLimiter, error) {
	switch {
	case !(config.PerSecond > 0) || math.IsInf(config.PerSecond, 0): // the negation finds NaN
		return nil, fmt.Errorf("perSecond is %v, must be positive", config.PerSecond)
	case config.Burst < 1:
		return nil, fmt.Errorf("burst is %d, must be at least 1", config.Burst)
	case config.MaxClients < 1:
		return nil, fmt.Errorf("maxClients is %d, must be at least 1", config.MaxClients)
	}
	clients, err := simplelru.NewLRU[netip.Prefix, *client](config.MaxClients, nil)
	if err != nil {
		return nil, err
	}
	return &RateLimiter{
		limit:   rate.Limit(config.PerSecond),
		burst:   config.Burst,
		refill:  seconds(float64(config.Burst) / config.PerSecond),
		clients: clients,
	}, nil
}

// Allow takes a token of the client that this address belongs to. If there is none it says how long
// it takes until there is one.
func (l *RateLimiter) Allow(addr netip.Addr) (wait time.Duration, ok bool) {
	key := clientOf(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, oldest, some := l.clients.GetOldest(); some && now.Sub(oldest.seen) >= l.refill; _, oldest, some = l.clients.GetOldest() {
		l.clients.RemoveOldest()
	}
	known, some := l.clients.Get(key)
	if !some {
		known = &client{bucket: rate.NewLimiter(l.limit, l.burst)}
		l.clients.Add(key, known)
	}
	known.seen = now
	if known.bucket.AllowN(now, 1) {
		return 0, true
	}
	return seconds((1 - known.bucket.TokensAt(now)) / float64(l.limit)), false
}

// Clients returns how many clients are remembered.
func (l *RateLimiter) Clients() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clients.Len()
}

// clientOf returns what counts as one client: an address of IPv4, or a /64 of IPv6, because that is
// the least that anybody gets, and inside of it everybody can choose.
func clientOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // an invalid address gives the zero Prefix: all of these are one client
	return prefix
}

func seconds(s float64) time.Duration {
	return time.Duration(min(s*float64(time.Second), math.MaxInt64/2))
}

// RateLimit answers 429 with Retry-After to a client that has used up what the limiter gives it.
// Who the client is says gin's ClientIP: the peer of the connection, or what a trusted proxy says
// about it.
func RateLimit(limiter *RateLimiter, w *response.Writer) gin.HandlerFunc {
	return func(c *gin.Context) {
		addr, _ := netip.ParseAddr(c.ClientIP())
		wait, ok := limiter.Allow(addr)
		if ok {
			return
		}
		// Whole seconds, rounded up: a client that comes a moment early is refused again.
		c.Header("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
		w.Write(c, response.ErrTooManyRequests, nil)
	}
}
