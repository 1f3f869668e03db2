package main

import (
	"context"
	"errors"
	"sync"
)

// A store stands for the database: something that can be asked how it is, and that has to be closed
// after the last request.
type store struct {
	mu     sync.Mutex
	visits int
	closed bool
}

func (s *store) visit() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visits++
	return s.visits
}

// PingContext has the signature of the one of *sql.DB.
func (s *store) PingContext(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the store is closed")
	}
	return nil
}

func (s *store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
