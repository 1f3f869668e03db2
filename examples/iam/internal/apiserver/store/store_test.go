package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

// everything returns the state of the database for one who knows nothing of it.
func everything(t *testing.T, s *store.Store) store.Changes {
	t.Helper()
	all, err := s.Changes(t.Context(), store.Revision{})
	require.NoError(t, err)
	assert.True(t, all.Full)
	return all
}

func TestVerbs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		ctx := t.Context()
		s := open(t, db)
		ann, bob := newUser(t, s, "ann"), newUser(t, s, "bob")
		assert.NotZero(t, ann.ID)

		p := newPolicy(ann.ID, "read")
		before := everything(t, s).Now.Number
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
		all := everything(t, s)
		assert.Equal(t, before+10, all.Now.Number)
		require.Len(t, all.Policies, 1)
		assert.Equal(t, bob.ID, all.Policies[0].OwnerID)
		_, err = policy.Parse(all.Policies[0].Document)
		require.NoError(t, err)
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
		before := everything(t, s)

		now, err := s.Users.Delete(ctx, "ann")
		require.NoError(t, err)
		assert.Equal(t, before.Now.Number+1, now, "of both at once")
		left, err := s.Changes(ctx, before.Now)
		require.NoError(t, err)
		assert.Equal(t, now, left.Now.Number)
		assert.False(t, left.Full)
		assert.Equal(t, []model.SecretID{before.Secrets[0].ID}, left.DeletedSecrets)
		assert.Equal(t, []model.PolicyID{before.Policies[0].ID}, left.DeletedPolicies)
		assert.Empty(t, left.Secrets)
		assert.Empty(t, left.Policies)
		all := everything(t, s)
		require.Len(t, all.Secrets, 1)
		assert.Equal(t, bob.ID, all.Secrets[0].OwnerID)
		require.Len(t, all.Policies, 1)

		_, err = s.Secrets.Create(ctx, newSecret(ann.ID, "late"))
		require.ErrorIs(t, err, store.ErrNotFound, "the owner is gone")
		_, err = s.Users.Delete(ctx, "ann")
		require.ErrorIs(t, err, store.ErrNotFound)

		// IDs are not used again: a token of ann must never be one of somebody new.
		_, err = s.Users.DeleteCollection(ctx)
		require.NoError(t, err)
		carl := newUser(t, s, "carl")
		assert.Greater(t, carl.ID, bob.ID)
		all = everything(t, s)
		assert.Greater(t, all.Now.Number, now)
		assert.Empty(t, all.Secrets)
	})
}

// Revision N is exactly the state after change N: N+1 never becomes visible before N, and no
// snapshot lies in between.
func TestConcurrentWritersAndSnapshots(t *testing.T) {
	const writers, each = 8, 12
	dbtest.Each(t, func(t *testing.T, db string) {
		s := open(t, db)
		another := s // a second apiserver, unless the database is this process's own
		if db != "memory" {
			another = open(t, db)
		}
		owner := newUser(t, s, "ann")
		first := everything(t, s).Now

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
		// Whoever adds increments together has what is there, at each revision.
		readers.Go(func() {
			last, policies := first, 0
			for done.Err() == nil {
				c, err := another.Changes(t.Context(), last)
				if !assert.NoError(t, err) || !assert.False(t, c.Full) {
					return
				}
				policies += len(c.Policies)
				assert.GreaterOrEqual(t, c.Now.Number, last.Number)
				assert.EqualValues(t, c.Now.Number-first.Number, policies, "at revision %v", c.Now)
				last = c.Now
			}
		})
		wg.Wait()
		stop()
		readers.Wait()

		all := everything(t, s)
		assert.EqualValues(t, first.Number+writers*each, all.Now.Number)
		assert.Len(t, all.Policies, writers*each)
		assert.Len(t, made, writers*each)
	})
}

// The connection of a transaction whose context ends is closed, and the database in memory must not
// go with it.
func TestMemoryOutlivesItsConnections(t *testing.T) {
	t.Parallel()
	s := open(t, "memory")
	ann := newUser(t, s, "ann")
	first := everything(t, s).Now.Number
	for i := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel() // now or a little later: somewhere in the middle
		_, err := s.Policies.Create(ctx, newPolicy(ann.ID, fmt.Sprint("p", i)))
		if err != nil {
			assert.ErrorIs(t, err, context.Canceled)
		}
	}
	_, err := s.Users.Get(t.Context(), "ann")
	require.NoError(t, err)
	count, err := s.Policies.Count(t.Context(), ann.ID)
	require.NoError(t, err)
	assert.EqualValues(t, int64(first)+count, everything(t, s).Now.Number, "each change that was made, and no other, has counted")
}

// Writers beyond those that can have their turn soon are told so at once.
func TestTooManyWriters(t *testing.T) {
	t.Parallel()
	s := open(t, "memory")
	ann := newUser(t, s, "ann")
	const writers = 1000
	errs := make(chan error, writers)
	begin := make(chan struct{})
	for i := range writers {
		go func() {
			<-begin
			_, err := s.Policies.Create(t.Context(), newPolicy(ann.ID, fmt.Sprint("p", i)))
			errs <- err
		}()
	}
	close(begin)
	created, busy := 0, 0
	for range writers {
		if err := <-errs; errors.Is(err, store.ErrBusy) {
			busy++
		} else if assert.NoError(t, err) {
			created++
		}
	}
	assert.Positive(t, busy)
	assert.GreaterOrEqual(t, created, 128)
	assert.Len(t, everything(t, s).Policies, created)
}

func TestTwoStartsAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		if db == "memory" {
			t.Skip("every start has a database of its own")
		}
		var mu sync.Mutex
		revisions := make(map[store.Revision]int)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				s, err := store.Open(t.Context(), db, instanceIDKey)
				if !assert.NoError(t, err) {
					return
				}
				now, err := s.Revision(t.Context())
				assert.NoError(t, errors.Join(err, s.Close()))
				mu.Lock()
				defer mu.Unlock()
				revisions[now]++
			})
		}
		wg.Wait()
		assert.Len(t, revisions, 1, "only one of them has made the tables")
	})
}

// There are keys in it.
func TestSQLiteFileIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	path := filepath.Join(t.TempDir(), "iam.db")
	newUser(t, open(t, "sqlite:"+path), "ann")
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode(), file)
	}
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
		"no such":  {"sqlite:/nonexistent/iam.db", "no such file or directory"},
		"nobody":   {"mysql:root@tcp(127.0.0.1:1)/iam", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), tt.db, nil)
			require.ErrorContains(t, err, tt.want)
		})
	}
}
