package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Writers wait for each other. That one is the victim of a deadlock is no error a client should
// see.
func TestWritersDoNotFailBecauseOfEachOther(t *testing.T) {
	const writers, rounds = 8, 20
	dbtest.Each(t, func(t *testing.T, db string) {
		ctx := t.Context()
		s := open(t, db)
		another := s // a second apiserver, unless the database is this process's own
		if db != "memory" {
			another = open(t, db)
		}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				s := []*store.Store{s, another}[w%2]
				for i := range rounds {
					user := &model.User{PasswordHash: "not a hash"}
					user.Name = fmt.Sprint("user", (w+i)%5)
					mustWrite(t, s.Users.Create(ctx, user))
					_, _, err := s.Users.Update(ctx, user, "email")
					mustWrite(t, err)
					if user.ID != 0 {
						_, err = s.Policies.Create(ctx, newPolicy(user.ID, "p"))
						mustWrite(t, err)
						_, err = s.Secrets.Create(ctx, newSecret(user.ID, "s"))
						mustWrite(t, err)
					}
					if i%7 == 0 {
						_, err = s.Users.DeleteCollection(ctx)
					} else {
						_, err = s.Users.Delete(ctx, user.Name)
					}
					mustWrite(t, err)
				}
			})
		}
		wg.Wait()
	})
}

// mustWrite accepts what another writer may have made true just before.
func mustWrite(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrNotFound) {
		assert.NoError(t, err)
	}
}
