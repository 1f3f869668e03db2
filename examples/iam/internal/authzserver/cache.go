package authzserver

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

// A cache holds what this server knows. Requests read it without a lock: a snapshot never changes, a newer one takes its place.
type cache struct {
	secrets  slot[map[string]secret] // by ID
	policies slot[*policy.Set]
	log      *slog.Logger
}

// A secret is the key of a user's tokens.
type secret struct {
	username string
	key      []byte
	expires  time.Time // zero is never
}

func newCache(log *slog.Logger) *cache { return &cache{log: log} }

// minKey is what HMAC-SHA256 needs to be as strong as its hash is long half over; with an empty key everybody could sign.
const minKey = 16 // bytes

// storeSecrets reports whether these are newer than those held.
func (c *cache) storeSecrets(version uint64, rows []*feed.Secret) bool {
	byID := make(map[string]secret, len(rows))
	for _, row := range rows {
		if len(row.GetKey()) < minKey {
			c.log.Error("a secret is left out, since its key is too short", "secret", row.GetId(), "bytes", len(row.GetKey()), "least", minKey)
			continue
		}
		s := secret{username: row.GetUsername(), key: row.GetKey()}
		if row.GetExpires() != 0 {
			s.expires = time.Unix(row.GetExpires(), 0)
		}
		byID[row.GetId()] = s
	}
	return c.secrets.store(&snapshot[map[string]secret]{version: version, at: time.Now(), count: len(rows), data: byID})
}

// storePolicies reports whether these are newer than those held.
func (c *cache) storePolicies(version uint64, rows []*feed.Policy) bool {
	sources := make([]policy.Source, len(rows))
	for i, row := range rows {
		sources[i] = policy.Source{ID: row.GetId(), Owner: row.GetUsername(), Document: row.GetDocument()}
	}
	var previous *policy.Set
	if held := c.policies.load(); held != nil {
		previous = held.data
	}
	set, err := policy.NewSet(sources, previous)
	if err != nil {
		c.log.Error("policies cannot be read, their owners are denied everything", "error", err)
	}
	return c.policies.store(&snapshot[*policy.Set]{version: version, at: time.Now(), count: len(rows), data: set})
}

// A snapshot is one kind as it stood in the database at one moment.
type snapshot[T any] struct {
	version uint64
	at      time.Time // when it came
	count   int       // of rows
	data    T
}

// A slot holds the newest snapshot of one kind. It is safe for concurrent use.
type slot[T any] struct {
	held atomic.Pointer[snapshot[T]]
}

// load returns nil before the first store.
func (s *slot[T]) load() *snapshot[T] { return s.held.Load() }

func (s *slot[T]) loaded() bool { return s.load() != nil }

// version returns 0 before the first store.
func (s *slot[T]) version() uint64 {
	if held := s.load(); held != nil {
		return held.version
	}
	return 0
}

// store takes the snapshot if it is newer than the one held, and reports whether it is. So an answer that was slow, or comes from
// a replica that is behind, never undoes a later one.
func (s *slot[T]) store(next *snapshot[T]) bool {
	for {
		held := s.held.Load()
		if held != nil && held.version >= next.version {
			return false
		}
		if s.held.CompareAndSwap(held, next) {
			return true
		}
	}
}
