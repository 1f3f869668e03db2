package service

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/gracekit/gracekit/examples/ginserver/response"
)

// hash waits for its turn, so that many logins at once do not take all cores from everything else.
func (c *core) hash(ctx context.Context, password string) (hash []byte, err error) {
	err = c.inTurn(ctx, func() error { hash, err = hashPassword(password, c.BcryptCost); return err })
	return hash, err
}

// matches reports whether it is the password of the hash.
func (c *core) matches(ctx context.Context, hash []byte, password string) (bool, error) {
	if !toldApart(password) { // it may be one of those that bcrypt takes for the right one
		hash = c.noHash
	}
	err := c.inTurn(ctx, func() error { return bcrypt.CompareHashAndPassword(hash, []byte(password)) })
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

func (c *core) inTurn(ctx context.Context, work func() error) error {
	if err := c.hashing.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("%w: too many passwords to check: %w", response.ErrUnavailable, err)
	}
	defer c.hashing.Release(1)
	return work()
}

func hashPassword(password string, cost int) ([]byte, error) {
	return bcrypt.GenerateFromPassword([]byte(password), cost)
}

// toldApart reports whether bcrypt tells the password from all others. It looks at 72 bytes of an endless repetition of the password
// and a character 0, so that "ab" is the same to it as "ab\x00ab".
func toldApart(password string) bool {
	return len(password) <= maxPassword && !strings.Contains(password, "\x00")
}

// impossibleHash takes as long to compare as any other of this cost, and is that of no password that anyone could find.
func impossibleHash(cost int) []byte {
	const salt, sum = 22, 31 // characters
	return fmt.Appendf(nil, "$2a$%02d$%s", cost, strings.Repeat(".", salt+sum))
}
