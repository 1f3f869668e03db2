package authzserver

import (
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

// A cache holds what this server knows: one state of the apiserver's database. One goroutine
// changes it, which locks the readers out for the moment of the change alone.
type cache struct {
	log *slog.Logger

	mu        sync.RWMutex
	revision  revision
	secrets   map[string]secret // by ID; nil before the first load
	policies  *policy.Set
	confirmed time.Time // when the apiserver was last asked, and the answer was what is held
}

// A revision is one state of the database; see feed.proto.
type revision struct{ number, stamp uint64 }

// A secret is the key of a user's tokens.
type secret struct {
	owner   string // ID of the user
	key     []byte
	expires time.Time // zero is never
}

func newCache(log *slog.Logger) *cache { return &cache{log: log} }

// lookup returns a secret and the policies of its owner, both of one state of the database.
func (c *cache) lookup(id string) (s secret, policies *policy.Owned, found bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s, found = c.secrets[id]; found {
		policies = c.policies.Of(s.owner)
	}
	return s, policies, found
}

// held returns the zero revision before the first load.
func (c *cache) held() revision {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.revision
}

func (c *cache) loaded() bool { return c.held() != revision{} }

// age is for how long this server has not known whether something has changed.
func (c *cache) age() time.Duration {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return time.Since(c.confirmed)
}

// counts returns the number of secrets and policies.
func (c *cache) counts() (secrets, policies int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.policies == nil {
		return 0, 0
	}
	return len(c.secrets), c.policies.Len()
}

// apply makes the cache what the apiserver said it is, to someone who asked at that time. It is the
// one that knows: also if its revision is an earlier one, since then the database was restored.
func (c *cache) apply(changes *changes, asked time.Time) {
	policies, secrets := c.policies, c.secrets
	if changes.full {
		policies = policy.NewSet()
	}
	commit, changed := policies.Prepare(changes.policies, changes.deleted), changes.secrets
	if changes.full { // nobody reads these yet, so nobody has to wait
		commit()
		commit, secrets, changed = func() {}, changed, nil
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	commit()
	for _, id := range changes.deleted {
		delete(secrets, id)
	}
	maps.Copy(secrets, changed)
	c.policies, c.secrets = policies, secrets
	c.revision, c.confirmed = changes.revision, asked
}

// confirm notes that nothing had changed when the apiserver was asked.
func (c *cache) confirm(asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.confirmed = asked
}

// changes are what an answer of the apiserver says, ready to be applied.
type changes struct {
	revision revision
	full     bool
	secrets  map[string]secret
	policies []*policy.Policy
	deleted  []string
}

// minKey is what HMAC-SHA256 needs to be as strong as its hash is long half over; with an empty key
// everybody could sign.
const minKey = 16 // bytes

// add reads one chunk. Policies are made ready at once, so that an answer is never in memory twice.
func (c *changes) add(chunk *feed.Chunk, log *slog.Logger) error {
	r := revision{chunk.GetRevision().GetNumber(), chunk.GetRevision().GetStamp()}
	if c.secrets == nil {
		c.revision, c.full, c.secrets = r, chunk.GetFull(), make(map[string]secret)
	}
	if r != c.revision || chunk.GetFull() != c.full || r == (revision{}) {
		return errors.New("the apiserver's answer has chunks of several revisions, or of none")
	}
	for _, row := range chunk.GetSecrets() {
		if len(row.GetKey()) < minKey {
			log.Error("a secret is left out, since its key is too short", "secret", row.GetId(), "bytes", len(row.GetKey()), "least", minKey)
			c.deleted = append(c.deleted, row.GetId())
			continue
		}
		s := secret{owner: row.GetOwnerId(), key: row.GetKey()}
		if row.GetExpires() != 0 {
			s.expires = time.Unix(row.GetExpires(), 0)
		}
		c.secrets[row.GetId()] = s
	}
	for _, row := range chunk.GetPolicies() {
		p := policy.New(row.GetId(), row.GetOwnerId(), row.GetDocument())
		if err := p.Err(); err != nil {
			log.Error("a policy cannot be read, its owner is denied everything", "error", err)
		}
		c.policies = append(c.policies, p)
	}
	c.deleted = append(c.deleted, chunk.GetDeleted()...)
	return nil
}
