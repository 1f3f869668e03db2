package service_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// The services under test work on a real database, which in memory costs a few milliseconds, and
// publish to nobody.
func open(t *testing.T, db string, cost int) service.Services {
	t.Helper()
	s, err := store.Open(t.Context(), db, []byte("for tests"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return service.New(service.Config{
		Store: s, Publisher: nobody{}, Log: slog.New(slog.DiscardHandler), BcryptCost: cost,
		LoginKey: []byte("a key for the logins, 32 bytes at least"), LoginTTL: time.Hour, CountLimit: 1, CountTimeout: time.Minute,
	})
}

type nobody struct{}

func (nobody) Publish(context.Context, notify.Event, uint64) error {
	return errors.New("Redis is away")
}

func admin(t *testing.T, s service.Services) *model.User {
	t.Helper()
	_, err := s.Users.EnsureAdmin(t.Context(), "the admin's password")
	require.NoError(t, err)
	user, err := s.Users.Store.Users.Get(t.Context(), service.AdminName)
	require.NoError(t, err)
	return user
}

func create(t *testing.T, s service.Services, by *model.User, name string, isAdmin bool) *model.User {
	t.Helper()
	spec := service.UserSpec{Admin: &isAdmin, Password: "password of " + name}
	spec.Name = name
	user, err := s.Users.Create(t.Context(), by, spec)
	require.NoError(t, err)
	return user
}

// Each admin may delete, demote and disable all others, so one is always left.
func TestAdminsAgainstEachOther(t *testing.T) {
	no, yes := false, true
	for name, attack := range map[string]func(s service.Services, by, victim *model.User) error{
		"delete": func(s service.Services, by, victim *model.User) error {
			return s.Users.Delete(context.Background(), by, victim.Name)
		},
		"demote": func(s service.Services, by, victim *model.User) error {
			_, err := s.Users.Update(context.Background(), by, victim.Name, service.UserSpec{Admin: &no})
			return err
		},
		"disable": func(s service.Services, by, victim *model.User) error {
			_, err := s.Users.Update(context.Background(), by, victim.Name, service.UserSpec{Disabled: &yes})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, db string) {
				s := open(t, db, bcrypt.MinCost)
				root := admin(t, s)
				for i := range 10 {
					a, b := create(t, s, root, fmt.Sprint("a", i), true), create(t, s, root, fmt.Sprint("b", i), true)
					var errs [2]error
					var wg sync.WaitGroup
					wg.Go(func() { errs[0] = attack(s, a, b) })
					wg.Go(func() { errs[1] = attack(s, b, a) })
					wg.Wait()
					assert.True(t, (errs[0] == nil) != (errs[1] == nil), "one of the two: %v, %v", errs[0], errs[1])
				}
			})
		})
	}
}

// Whoever hashes hundreds of passwords at once is refused, and nobody else waits for them.
func TestOneUserDoesNotHoldUpTheOthers(t *testing.T) {
	s := open(t, "memory", 10)
	root := admin(t, s)
	ann := create(t, s, root, "ann", false)
	var wg sync.WaitGroup
	refused := make(chan error, 200)
	for range cap(refused) {
		wg.Go(func() {
			if err := s.Users.ChangePassword(context.Background(), ann, "ann", "a wrong one", "another one"); !errors.Is(err, service.ErrOldPassword) {
				refused <- err
			}
		})
	}
	_, _, err := s.Users.Login(t.Context(), "192.0.2.1", service.AdminName, "the admin's password")
	require.NoError(t, err)
	wg.Wait()
	close(refused)
	assert.Greater(t, len(refused), 100)
	for err := range refused {
		assert.ErrorIs(t, err, response.ErrTooManyRequests)
	}
	err = s.Users.ChangePassword(t.Context(), ann, "ann", "password of ann", "another one")
	require.NoError(t, err, "the queue is empty again")
}

func TestAChangeThatIsNotPublishedIsMade(t *testing.T) {
	s := open(t, "memory", bcrypt.MinCost)
	root := admin(t, s)
	spec := service.SecretSpec{}
	spec.Name = "ci"
	secret, err := s.Secrets.Create(t.Context(), root, spec)
	require.NoError(t, err)
	_, err = s.Secrets.Get(t.Context(), root, secret.ID)
	require.NoError(t, err)
}
