package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/gracekit/gracekit/examples/ginserver/response"
)

// The errors of notes have the codes 1100xx.
var (
	errNoteNotFound = response.Error{Code: 110001, Status: http.StatusNotFound, Message: "there is no such note", Reference: "/errors"}
	errNoteInvalid  = response.Error{Code: 110002, Status: http.StatusBadRequest, Message: "the note is not valid", Reference: "/errors"}
	errNotesFull    = response.Error{Code: 110003, Status: http.StatusConflict, Message: "there are too many notes: delete some", Reference: "/errors"}
)

func noteErrors() []response.Error {
	return []response.Error{errNoteNotFound, errNoteInvalid, errNotesFull}
}

type note struct {
	ID     int
	Author string
	Text   string
}

const maxNotes = 1000

// A noteStore stands for the database: something that can be asked how it is, and that has to be
// closed after the last request. The zero value is empty. It is safe for concurrent use.
type noteStore struct {
	mu     sync.Mutex
	byID   map[int]note
	lastID int
	closed bool
}

func (s *noteStore) add(_ context.Context, author, text string) (note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return note{}, errClosed
	case len(s.byID) >= maxNotes:
		return note{}, errNotesFull
	case s.byID == nil:
		s.byID = make(map[int]note)
	}
	s.lastID++
	n := note{ID: s.lastID, Author: author, Text: text}
	s.byID[n.ID] = n
	return n, nil
}

func (s *noteStore) get(_ context.Context, id int) (note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return note{}, errClosed
	}
	n, ok := s.byID[id]
	if !ok {
		return note{}, errNoteNotFound
	}
	return n, nil
}

func (s *noteStore) list(context.Context) ([]note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	all := make([]note, 0, len(s.byID))
	for _, n := range s.byID {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b note) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

func (s *noteStore) remove(_ context.Context, id int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if _, ok := s.byID[id]; !ok {
		return errNoteNotFound
	}
	delete(s.byID, id)
	return nil
}

// errClosed is no response.Error: it is nobody's business but ours, so the client gets 500 and the
// log gets this.
var errClosed = errors.New("the store is closed")

// PingContext has the signature of the one of *sql.DB.
func (s *noteStore) PingContext(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	return nil
}

func (s *noteStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
