package middleware_test

import (
	"encoding/binary"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
)

func newLimiter(t testing.TB, perSecond float64, burst, maxClients int) *middleware.RateLimiter {
	t.Helper()
	limiter, err := middleware.NewRateLimiter(middleware.RateLimitConfig{PerSecond: perSecond, Burst: burst, MaxClients: maxClients})
	require.NoError(t, err)
	return limiter
}

func TestRateLimitOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, 0.5, 3, 10)
		alice, bob := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		for range 3 {
			_, ok := limiter.Allow(alice)
			assert.True(t, ok, "the burst")
		}
		wait, ok := limiter.Allow(alice)
		assert.False(t, ok)
		assert.Equal(t, 2*time.Second, wait)
		_, ok = limiter.Allow(bob)
		assert.True(t, ok, "each client has its own")

		time.Sleep(wait - time.Millisecond)
		wait, ok = limiter.Allow(alice)
		assert.False(t, ok, "a refusal costs nothing, and a moment early is too early")
		assert.InDelta(t, time.Millisecond, wait, float64(time.Microsecond))
		time.Sleep(time.Millisecond)
		_, ok = limiter.Allow(alice)
		assert.True(t, ok)
		_, ok = limiter.Allow(alice)
		assert.False(t, ok)

		time.Sleep(time.Hour)
		for range 3 {
			_, ok = limiter.Allow(alice)
			assert.True(t, ok, "no more than the burst is saved")
		}
		_, ok = limiter.Allow(alice)
		assert.False(t, ok)
	})
}

func TestIdleClientsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, 1, 5, 1000)
		for i := range 100 {
			limiter.Allow(address(i))
		}
		assert.Equal(t, 100, limiter.Clients())
		time.Sleep(4 * time.Second)
		limiter.Allow(address(0))
		time.Sleep(time.Second) // five in all: the others' buckets are full again, if they were empty
		limiter.Allow(address(1))
		assert.Equal(t, 2, limiter.Clients(), "0, who was there since, and 1")
	})
}

// Nobody gains by being forgotten when idle, and nobody can make the limiter grow.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, 0.001, 1, 100)
		for i := range 10_000 {
			limiter.Allow(address(i))
			require.LessOrEqual(t, limiter.Clients(), 100)
		}
		assert.Equal(t, 100, limiter.Clients())
		_, ok := limiter.Allow(address(9_999))
		assert.False(t, ok, "the newest are remembered")
		_, ok = limiter.Allow(address(0))
		assert.True(t, ok, "the oldest are not")
	})
}

func TestWhoIsAClient(t *testing.T) {
	tests := []struct {
		name, one, other string
		same             bool
	}{
		{"two addresses of IPv4", "192.0.2.1", "192.0.2.2", false},
		{"IPv4 inside IPv6", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"two of IPv4 inside IPv6", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"one /64", "2001:db8::1", "2001:db8::ffff:1:2:3", true},
		{"two /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"a zone", "fe80::1%eth0", "fe80::1%eth1", true},
		{"no address", "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limiter := newLimiter(t, 0.001, 1, 10)
			one, _ := netip.ParseAddr(tt.one)
			other, _ := netip.ParseAddr(tt.other)
			_, ok := limiter.Allow(one)
			require.True(t, ok)
			_, ok = limiter.Allow(other)
			assert.Equal(t, tt.same, !ok)
		})
	}
}

func TestRateLimitUnderConcurrency(t *testing.T) {
	limiter := newLimiter(t, 0.0001, 50, 3) // fewer than clients, so that some are forgotten all the time
	one := netip.MustParseAddr("2001:db8::1")
	single := newLimiter(t, 0.0001, 50, 10)
	var allowed atomic.Int64
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for i := range 100 {
				limiter.Allow(address(worker + i%3))
				if _, ok := single.Allow(one); ok {
					allowed.Add(1)
				}
			}
		})
	}
	workers.Wait()
	assert.Equal(t, int64(50), allowed.Load(), "the burst, whoever asks")
	assert.LessOrEqual(t, limiter.Clients(), 3)
}

func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.Use(middleware.RateLimit(newLimiter(t, 0.1, 2, 10), s.write))
		s.GET("/", ok)
		for range 2 {
			assert.Equal(t, 200, s.get(t, "/").Code)
		}
		got := s.get(t, "/", "X-Forwarded-For: 6.6.6.6", "X-Request-ID: x") // a client that calls itself somebody else
		assert.Equal(t, 429, got.Code)
		assert.Equal(t, `{"code":100004,"message":"too many requests, come again later","requestID":"x"}`, got.Body.String())
		assert.Equal(t, "10", got.Header().Get("Retry-After"))
		time.Sleep(500 * time.Millisecond)
		assert.Equal(t, "10", s.get(t, "/").Header().Get("Retry-After"), "9.5s, rounded up: a moment early is refused again")
		time.Sleep(9500 * time.Millisecond)
		assert.Equal(t, 200, s.get(t, "/").Code)
	})
}

func TestBadRateLimits(t *testing.T) {
	tests := []struct {
		name   string
		config middleware.RateLimitConfig
		want   string
	}{
		{"zero", middleware.RateLimitConfig{Burst: 1, MaxClients: 1}, "perSecond is 0, must be positive"},
		{"negative", middleware.RateLimitConfig{PerSecond: -1, Burst: 1, MaxClients: 1}, "perSecond is -1, must be positive"},
		{"not a number", middleware.RateLimitConfig{PerSecond: math.NaN(), Burst: 1, MaxClients: 1}, "perSecond is NaN, must be positive"},
		{"infinite", middleware.RateLimitConfig{PerSecond: math.Inf(1), Burst: 1, MaxClients: 1}, "perSecond is +Inf, must be positive"},
		{"no burst", middleware.RateLimitConfig{PerSecond: 1, MaxClients: 1}, "burst is 0, must be at least 1"},
		{"no clients", middleware.RateLimitConfig{PerSecond: 1, Burst: 1}, "maxClients is 0, must be at least 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := middleware.NewRateLimiter(tt.config)
			assert.EqualError(t, err, tt.want)
		})
	}
}

func BenchmarkRateLimiter(b *testing.B) {
	limiter := newLimiter(b, 1e9, 1, 10_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		limiter.Allow(address(i % 10_000))
		i++
	}
}

func address(i int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 0x0a000000+uint32(i))
	return netip.AddrFrom4(a)
}
