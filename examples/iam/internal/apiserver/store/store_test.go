package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

// All databases of this process have the same key for their instance IDs.
var instanceIDKey = []byte("for tests")

func open(t *testing.T, db string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), db, instanceIDKey)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func newUser(t *testing.T, s *store.Store, name string) *model.User {
	t.Helper()
	user := &model.User{PasswordHash: "not a hash"}
	user.Name = name
	require.NoError(t, s.Users.Create(t.Context(), user))
	return user
}

func newPolicy(owner model.UserID, name string) *model.Policy {
	p := &model.Policy{OwnerID: owner, Document: policy.Document{
		Effect: policy.Allow, Subjects: []string{"users:" + name}, Actions: []string{"*"}, Resources: []string{"*"},
	}}
	p.Name = name
	return p
}

func newSecret(owner model.UserID, name string) *model.Secret {
	s := &model.Secret{OwnerID: owner, SigningKey: "key of " + name}
	s.Name = name
	return s
}

func TestVerbs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		ctx := t.Context()
		s := open(t, db)
		ann, bob := newUser(t, s, "ann"), newUser(t, s, "bob")
		assert.NotZero(t, ann.ID)

		p := newPolicy(ann.ID, "read")
		before, _, err := s.AllPolicies(ctx, 0)
		require.NoError(t, err)
		assert.NotZero(t, before, "0 is what nobody has seen anything of")
		now, err := s.Policies.Create(ctx, p)
		require.NoError(t, err)
		assert.Equal(t, before+1, now)

		got, err := s.Policies.Get(ctx, ann.ID, p.ID)
		require.NoError(t, err)
		assert.Equal(t, p.Document, got.Document)
		assert.Equal(t, ann.ID, got.OwnerID)
		_, err = s.Policies.Get(ctx, bob.ID, p.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "somebody else's")

		// Only the columns that are named are written.
		changed := newPolicy(bob.ID, "another-name")
		changed.ID = 999
		updated, now, err := s.Policies.Update(ctx, ann.ID, p.ID, changed, "document")
		require.NoError(t, err)
		assert.Equal(t, before+2, now)
		assert.Equal(t, "read", updated.Name)
		assert.Equal(t, ann.ID, updated.OwnerID)
		assert.Equal(t, changed.Document, updated.Document)
		assert.Equal(t, p.ID, updated.ID)
		assert.False(t, updated.UpdatedAt.Before(got.UpdatedAt))
		assert.Equal(t, got.CreatedAt, updated.CreatedAt)
		_, _, err = s.Policies.Update(ctx, bob.ID, p.ID, changed, "document")
		require.ErrorIs(t, err, store.ErrNotFound)

		_, err = s.Policies.Delete(ctx, bob.ID, p.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		now, err = s.Policies.Delete(ctx, ann.ID, p.ID)
		require.NoError(t, err)
		assert.Equal(t, before+3, now, "what failed has not counted")
		_, err = s.Policies.Get(ctx, ann.ID, p.ID)
		require.ErrorIs(t, err, store.ErrNotFound)

		for i := range 5 {
			_, err := s.Policies.Create(ctx, newPolicy(ann.ID, fmt.Sprint("p", i)))
			require.NoError(t, err)
		}
		_, err = s.Policies.Create(ctx, newPolicy(bob.ID, "p0"))
		require.NoError(t, err, "a name is its owner's")
		page, err := s.Policies.List(ctx, ann.ID, 1, 3)
		require.NoError(t, err)
		assert.EqualValues(t, 5, page.TotalCount)
		require.Len(t, page.Items, 3)
		assert.Equal(t, "p1", page.Items[0].Name)
		count, err := s.Policies.Count(ctx, bob.ID)
		require.NoError(t, err)
		assert.EqualValues(t, 1, count)

		now, err = s.Policies.DeleteCollection(ctx, ann.ID)
		require.NoError(t, err)
		assert.Equal(t, before+10, now, "all at once is one change")
		now, err = s.Policies.DeleteCollection(ctx, ann.ID)
		require.NoError(t, err)
		assert.Zero(t, now, "nothing was there")
		version, all, err := s.AllPolicies(ctx, 0)
		require.NoError(t, err)
		assert.Equal(t, before+10, version)
		require.Len(t, all, 1)
		assert.Equal(t, "bob", all[0].Username)
		_, err = policy.Parse(all[0].Document)
		require.NoError(t, err)
		version, all, err = s.AllPolicies(ctx, version)
		require.NoError(t, err)
		assert.Equal(t, before+10, version)
		assert.Empty(t, all, "it is known")
	})
}

func TestNamesAreUniqueAndToldApartByCase(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := open(t, db)
		ann := newUser(t, s, "ann")
		newUser(t, s, "Ann")
		again := &model.User{}
		again.Name = "ann"
		require.ErrorIs(t, s.Users.Create(t.Context(), again), store.ErrExists)
		got, err := s.Users.Get(t.Context(), "ann")
		require.NoError(t, err)
		assert.Equal(t, ann.ID, got.ID)
		_, err = s.Users.Get(t.Context(), "ANN")
		require.ErrorIs(t, err, store.ErrNotFound)

		_, err = s.Secrets.Create(t.Context(), newSecret(ann.ID, "ci"))
		require.NoError(t, err)
		_, err = s.Secrets.Create(t.Context(), newSecret(ann.ID, "ci"))
		require.ErrorIs(t, err, store.ErrExists)
	})
}

func TestDeletingAUserDeletesAllThatItOwns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		ctx := t.Context()
		s := open(t, db)
		ann, bob := newUser(t, s, "ann"), newUser(t, s, "bob")
		for _, user := range []*model.User{ann, bob} {
			_, err := s.Secrets.Create(ctx, newSecret(user.ID, "ci"))
			require.NoError(t, err)
			_, err = s.Policies.Create(ctx, newPolicy(user.ID, "read"))
			require.NoError(t, err)
		}
		secretsBefore, _, err := s.AllSecrets(ctx, 0)
		require.NoError(t, err)

		now, err := s.Users.Delete(ctx, "ann")
		require.NoError(t, err)
		assert.Equal(t, secretsBefore+1, now.Secrets)
		version, secrets, err := s.AllSecrets(ctx, 0)
		require.NoError(t, err)
		assert.Equal(t, now.Secrets, version)
		require.Len(t, secrets, 1)
		assert.Equal(t, "bob", secrets[0].Username)
		_, policies, err := s.AllPolicies(ctx, 0)
		require.NoError(t, err)
		assert.Len(t, policies, 1)

		_, err = s.Secrets.Create(ctx, newSecret(ann.ID, "late"))
		require.ErrorIs(t, err, store.ErrNotFound, "the owner is gone")
		_, err = s.Users.Delete(ctx, "ann")
		require.ErrorIs(t, err, store.ErrNotFound)

		// IDs are not used again: a token of ann must never be one of somebody new.
		_, err = s.Users.DeleteCollection(ctx)
		require.NoError(t, err)
		carl := newUser(t, s, "carl")
		assert.Greater(t, carl.ID, bob.ID)
		version, secrets, err = s.AllSecrets(ctx, 0)
		require.NoError(t, err)
		assert.Greater(t, version, now.Secrets)
		assert.Empty(t, secrets)
	})
}

// Revision N is exactly the state after change N: N+1 never becomes visible before N, and no snapshot lies in between.
func TestConcurrentWritersAndSnapshots(t *testing.T) {
	const writers, each = 8, 12
	dbtest.Each(t, func(t *testing.T, db string) {
		s := open(t, db)
		another := s // a second apiserver, unless the database is this process's own
		if db != "memory" {
			another = open(t, db)
		}
		owner := newUser(t, s, "ann")
		first, _, err := s.AllPolicies(t.Context(), 0)
		require.NoError(t, err)

		var mu sync.Mutex
		made := make(map[uint64]string) // the name that each revision added
		done, stop := context.WithCancel(t.Context())
		var readers, wg sync.WaitGroup
		defer readers.Wait()
		defer stop()
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					p := newPolicy(owner.ID, fmt.Sprintf("w%d-%d", w, i))
					store := s
					if w%2 == 1 {
						store = another
					}
					now, err := store.Policies.Create(t.Context(), p)
					if !assert.NoError(t, err) {
						return
					}
					mu.Lock()
					assert.Empty(t, made[now], "revision %d twice", now)
					made[now] = p.Name
					mu.Unlock()
				}
			})
		}
		readers.Go(func() {
			last := first
			for done.Err() == nil {
				now, all, err := another.AllPolicies(t.Context(), 0)
				if !assert.NoError(t, err) {
					return
				}
				assert.GreaterOrEqual(t, now, last)
				assert.EqualValues(t, now-first, len(all), "at revision %d", now)
				last = now
			}
		})
		wg.Wait()
		stop()
		readers.Wait()

		now, all, err := s.AllPolicies(t.Context(), 0)
		require.NoError(t, err)
		assert.EqualValues(t, first+writers*each, now)
		assert.Len(t, all, writers*each)
		assert.Len(t, made, writers*each)
	})
}

// The connection of a transaction whose context ends is closed, and the database in memory must not go with it.
func TestMemoryOutlivesItsConnections(t *testing.T) {
	t.Parallel()
	s := open(t, "memory")
	ann := newUser(t, s, "ann")
	first, _, err := s.AllPolicies(t.Context(), 0)
	require.NoError(t, err)
	for i := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel() // now or a little later: somewhere in the middle
		_, err := s.Policies.Create(ctx, newPolicy(ann.ID, fmt.Sprint("p", i)))
		if err != nil {
			assert.ErrorIs(t, err, context.Canceled)
		}
	}
	_, err = s.Users.Get(t.Context(), "ann")
	require.NoError(t, err)
	count, err := s.Policies.Count(t.Context(), ann.ID)
	require.NoError(t, err)
	version, _, err := s.AllPolicies(t.Context(), 0)
	require.NoError(t, err)
	assert.EqualValues(t, int64(first)+count, version, "each change that was made, and no other, has counted")
}

func TestTwoStartsAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		if db == "memory" {
			t.Skip("every start has a database of its own")
		}
		var mu sync.Mutex
		versions := make(map[uint64]int)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				s, err := store.Open(t.Context(), db, instanceIDKey)
				if !assert.NoError(t, err) {
					return
				}
				version, _, err := s.AllSecrets(t.Context(), 0)
				assert.NoError(t, errors.Join(err, s.Close()))
				mu.Lock()
				defer mu.Unlock()
				versions[version]++
			})
		}
		wg.Wait()
		assert.Len(t, versions, 1, "only one of them has made the tables")
	})
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	file := dbtest.SQLite(t)
	open(t, file)
	_, err := store.Open(t.Context(), file, []byte("another"))
	require.ErrorContains(t, err, "store: the database has another key for its instance IDs than the one given")
	for name, tt := range map[string]struct{ db, want string }{
		"empty":    {"", `store: database ""…: want memory, sqlite:<file>, mysql:<DSN> or postgres://<…>`},
		"unknown":  {"oracle:scott:tiger@db", `store: database "oracle:scott"…: want memory`},
		"no file":  {"sqlite:", `want memory, sqlite:<file>`},
		"mysql":    {"mysql:root@tcp(127.0.0.1:3306)", "store: mysql: invalid DSN"},
		"postgres": {"postgres:", `want memory`},
		"no such":  {"sqlite:/nonexistent/iam.db", "unable to open database file"},
		"nobody":   {"mysql:root@tcp(127.0.0.1:1)/iam", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), tt.db, nil)
			require.ErrorContains(t, err, tt.want)
		})
	}
}
