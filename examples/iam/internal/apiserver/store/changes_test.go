package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// A follower is what an authzserver makes of the changes.
type follower struct {
	now      store.Revision
	full     int // how often it got everything
	secrets  map[model.SecretID]string
	policies map[model.PolicyID]string
}

func (f *follower) follow(t *testing.T, s *store.Store) {
	t.Helper()
	c, err := s.Changes(t.Context(), f.now)
	require.NoError(t, err)
	if f.now = c.Now; c.Full {
		f.full++
		f.secrets, f.policies = make(map[model.SecretID]string), make(map[model.PolicyID]string)
	}
	for _, secret := range c.Secrets {
		f.secrets[secret.ID] = fmt.Sprint(secret.OwnerID, secret.SigningKey, secret.Expires)
	}
	for _, p := range c.Policies {
		f.policies[p.ID] = fmt.Sprint(p.OwnerID, string(p.Document))
	}
	for _, id := range c.DeletedSecrets {
		delete(f.secrets, id)
	}
	for _, id := range c.DeletedPolicies {
		delete(f.policies, id)
	}
}

// Whatever is done, however often one asks meanwhile: increments lead to what a snapshot has.
func TestChangesAddUp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		ctx, s := t.Context(), open(t, db)
		random := rand.New(rand.NewPCG(1, 2))
		var f follower
		f.follow(t, s)
		for i := range 150 {
			name := fmt.Sprint("user", random.IntN(4))
			user, err := s.Users.Get(ctx, name)
			if err != nil {
				user, err = newUser(t, s, name), nil
			}
			all := everything(t, s)
			switch random.IntN(10) {
			case 0:
				_, err = s.Users.Delete(ctx, name)
			case 1:
				_, err = s.Policies.DeleteCollection(ctx, user.ID)
			case 2:
				_, err = s.Secrets.DeleteCollection(ctx, user.ID)
			case 3:
				if len(all.Policies) > 0 {
					p := all.Policies[random.IntN(len(all.Policies))]
					_, _, err = s.Policies.Update(ctx, p.OwnerID, p.ID, newPolicy(p.OwnerID, fmt.Sprint("changed", i)), "document")
				}
			case 4:
				if len(all.Policies) > 0 {
					p := all.Policies[random.IntN(len(all.Policies))]
					_, err = s.Policies.Delete(ctx, p.OwnerID, p.ID)
				}
			case 5:
				user.Disabled = !user.Disabled
				_, _, err = s.Users.Update(ctx, user, "disabled")
			case 6, 7:
				_, err = s.Secrets.Create(ctx, newSecret(user.ID, fmt.Sprint("s", i)))
			default:
				_, err = s.Policies.Create(ctx, newPolicy(user.ID, fmt.Sprint("p", i)))
			}
			require.NoError(t, err)
			if random.IntN(3) == 0 {
				f.follow(t, s)
			}
		}
		f.follow(t, s)
		var fresh follower
		fresh.follow(t, s)
		assert.Equal(t, 1, f.full, "once, at the start")
		fresh.full = f.full
		assert.Equal(t, fresh, f)
		assert.NotEmpty(t, f.policies)
	})
}

// Who comes back after too long gets everything, and not a part that looks like it.
func TestChangesAreForgotten(t *testing.T) {
	t.Parallel()
	s := open(t, "memory")
	s.SetHistory(100)
	ann := newUser(t, s, "ann")
	var late, soon follower
	late.follow(t, s)
	p := newPolicy(ann.ID, "p")
	_, err := s.Policies.Create(t.Context(), p)
	require.NoError(t, err)
	for i := range 1200 { // more than forgetEvery
		_, _, err := s.Policies.Update(t.Context(), ann.ID, p.ID, newPolicy(ann.ID, fmt.Sprint("p", i)), "document")
		require.NoError(t, err)
		if i%50 == 0 {
			soon.follow(t, s)
		}
	}
	_, err = s.Policies.Delete(t.Context(), ann.ID, p.ID)
	require.NoError(t, err)
	late.follow(t, s)
	soon.follow(t, s)
	assert.Equal(t, 2, late.full)
	assert.Equal(t, 1, soon.full)
	assert.Empty(t, late.policies)
	assert.Equal(t, slices.Collect(maps.Keys(late.policies)), slices.Collect(maps.Keys(soon.policies)))
}

// After a restore the numbers of revisions come again, with other contents.
func TestRestoreIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, backup := filepath.Join(dir, "iam.db"), filepath.Join(dir, "backup.db")
	duplicate := func(from, to string) {
		t.Helper()
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, data, 0o600))
	}
	session := func(do func(s *store.Store)) {
		t.Helper()
		s, err := store.Open(t.Context(), "sqlite:"+file, instanceIDKey)
		require.NoError(t, err)
		do(s)
		require.NoError(t, s.Close())
	}
	var f follower
	var ann *model.User
	add := func(s *store.Store, name string) {
		_, err := s.Policies.Create(t.Context(), newPolicy(ann.ID, name))
		require.NoError(t, err)
	}
	session(func(s *store.Store) {
		ann = newUser(t, s, "ann")
		f.follow(t, s)
	})
	duplicate(file, backup)
	session(func(s *store.Store) {
		add(s, "revoked")
		add(s, "other")
		f.follow(t, s)
	})
	held := f.now
	for _, further := range []int{0, 1, 2, 3} {
		duplicate(backup, file)
		session(func(s *store.Store) {
			for i := range further { // with 2 the number is the one that is held
				add(s, fmt.Sprint("new", i))
			}
			f := f
			f.follow(t, s)
			assert.Equal(t, held.Number-2+uint64(further), f.now.Number)
			assert.Equal(t, 2, f.full, "after %d changes", further)
			assert.Len(t, f.policies, further)
		})
	}
}
