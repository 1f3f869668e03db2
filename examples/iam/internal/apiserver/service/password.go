package service

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/gracekit/gracekit/examples/ginserver/response"
)

// hash waits for the turn of who: a user, or the address of somebody who wants to log in.
func (c *core) hash(ctx context.Context, who, password string) (hash []byte, err error) {
	err = c.hashing.do(ctx, who, func() error {
		hash, err = bcrypt.GenerateFromPassword([]byte(password), c.BcryptCost)
		return err
	})
	return hash, err
}

// matches reports whether it is the password of the hash.
func (c *core) matches(ctx context.Context, who string, hash []byte, password string) (bool, error) {
	if !toldApart(password) { // it may be one of those that bcrypt takes for the right one
		hash = c.noHash
	}
	err := c.hashing.do(ctx, who, func() error { return bcrypt.CompareHashAndPassword(hash, []byte(password)) })
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

// turns are for work that takes a whole core. As many run at a time as there are cores, so that
// everything else goes on; but only one for each who, whose others wait, a few of them, and the
// rest are refused. So nobody who hashes a hundred passwords at once holds up the login of somebody
// else.
type turns struct {
	cores *semaphore.Weighted

	mu  sync.Mutex
	who map[string]*queue
}

// A queue is that of one who. It is forgotten when it is empty.
type queue struct {
	length int
	turn   chan struct{} // holds one
}

const maxQueue = 4

func newTurns() *turns {
	return &turns{cores: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))), who: make(map[string]*queue)}
}

func (t *turns) do(ctx context.Context, who string, work func() error) error {
	q, ok := t.enter(who)
	if !ok {
		return response.ErrTooManyRequests.Detail("%d passwords of yours are being checked: wait for them", maxQueue)
	}
	defer t.leave(who, q)
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := t.cores.Acquire(ctx, 1); err != nil {
		return err
	}
	defer t.cores.Release(1)
	return work()
}

func (t *turns) enter(who string) (q *queue, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q = t.who[who]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
		t.who[who] = q
	}
	if q.length == maxQueue {
		return nil, false
	}
	q.length++
	return q, true
}

func (t *turns) leave(who string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.length--; q.length == 0 {
		delete(t.who, who)
	}
}

// toldApart reports whether bcrypt tells the password from all others. It looks at 72 bytes of an
// endless repetition of the password and a character 0, so that "ab" is the same to it as
// "ab\x00ab".
func toldApart(password string) bool {
	return len(password) <= maxPassword && !strings.Contains(password, "\x00")
}

// impossibleHash takes as long to compare as any other of this cost, and is that of no password
// that anyone could find.
func impossibleHash(cost int) []byte {
	const salt, sum = 22, 31 // characters
	return fmt.Appendf(nil, "$2a$%02d$%s", cost, strings.Repeat(".", salt+sum))
}
