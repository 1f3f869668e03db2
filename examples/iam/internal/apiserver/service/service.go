// Package service has the rules of the apiserver: who may do what, what is valid, and what has to
// be told to whom afterwards. It knows nothing of HTTP, and nothing of SQL.
//
// Each resource has a file of its own. The caller is an argument: it is the user whom
// [Users.Authenticate] returned.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/objectmeta"
)

// A Publisher tells the authzservers of a change. It must not take long, whatever state it is in.
type Publisher interface {
	Publish(ctx context.Context, event notify.Event, version uint64) error
}

// Config is what the services work with.
type Config struct {
	Store     *store.Store
	Publisher Publisher
	Log       *slog.Logger

	LoginKey   []byte        // signs the tokens of logins
	LoginTTL   time.Duration // how long they are valid
	BcryptCost int           // of the passwords: each step doubles the time of a login

	// Listing users asks for the policies of each. These bound how many of these queries run at the
	// same time, and how long all of them may take.
	CountLimit   int
	CountTimeout time.Duration
	CountByGroup bool // count in one query instead
}

// Services are safe for concurrent use.
type Services struct {
	Users    Users
	Secrets  Secrets
	Policies Policies
}

// core is what all of them have.
type core struct {
	Config
	hashing *turns
	noHash  []byte // of a user who does not exist
}

// New returns the services.
func New(config Config) Services {
	c := &core{Config: config, hashing: newTurns(), noHash: impossibleHash(config.BcryptCost)}
	return Services{Users{c}, newSecrets(c), newPolicies(c)}
}

// changed tells the authzservers, after the commit and only then. That it fails is no failure of
// the request, whose change is made: the authzservers then learn of it at their next periodic load.
func (c *core) changed(ctx context.Context, event notify.Event, version uint64) {
	if version == 0 { // nothing has changed
		return
	}
	if err := c.Publisher.Publish(ctx, event, version); err != nil {
		c.Log.WarnContext(ctx, "a change was not published: the authzservers will be late", "event", event, "version", version, "error", err)
	}
}

const (
	defaultLimit = 20
	maxLimit     = 1000
)

func pageOf(options objectmeta.ListOptions) (offset, limit int, err error) {
	offset, limit, err = options.Page(defaultLimit, maxLimit)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrInvalidQuery.Detail("offset and limit must not be negative"), err)
	}
	return offset, limit, nil
}
