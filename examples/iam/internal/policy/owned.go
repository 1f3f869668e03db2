package policy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Owned is what one user has. Each policy stands under every subject that it names, if none has a
// *; or else under every resource; or else among the rest, which every request asks. The benchmark
// in this package shows what that is worth.
type Owned struct {
	all        []*Policy
	bySubject  map[string]*list
	byResource map[string]*list
	rest       list
	broken     string // ID of one that cannot be read

	turn   chan struct{} // one costly decision at a time; nil if there are too few patterns for any
	places chan struct{} // which all users share
}

type list struct {
	policies []*Policy
	patterns int // of all of them
}

// A costly decision asks more patterns than this, which takes some 0.2ms.
const costly = 10_000

// busyAfter is how long a costly decision waits for its turn.
const busyAfter = 2 * time.Second

// ErrBusy is returned when a user has too many costly decisions at once.
var ErrBusy = errors.New("policy: too many decisions at once that ask thousands of patterns")

// A Request is what is asked: may this subject do this to that? In it * is a character like any
// other.
type Request struct {
	Subject  string
	Action   string
	Resource string
}

// A Decision is the answer.
type Decision struct {
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"` // for people: "denied by policy-3v18jq"
	Policy  string `json:"-"`      // the ID in it; empty if there is none
}

func allowedBy(id string) Decision {
	return Decision{Allowed: true, Reason: "allowed by " + id, Policy: id}
}
func deniedBy(id string) Decision { return Decision{Reason: "denied by " + id, Policy: id} }

// Decide asks the policies. What none of them allows is denied, and one that denies wins.
//
// A user may have thousands of policies of hundreds of patterns, and nobody else shall wait for
// them: one costly decision of a user runs at a time, and those of all users take half of the
// processors at most. The error is ErrBusy, or that of ctx, which bounds the time.
func (o *Owned) Decide(ctx context.Context, r Request) (Decision, error) {
	if o == nil {
		return Decision{Reason: "no policy allows it"}, nil
	}
	if o.broken != "" {
		return Decision{Reason: o.broken + " cannot be read, and could be one that denies", Policy: o.broken}, nil
	}
	candidates, patterns := [...]*list{o.bySubject[r.Subject], o.byResource[r.Resource], &o.rest}, 0
	for _, list := range candidates {
		if list != nil {
			patterns += list.patterns
		}
	}
	if patterns > costly {
		leave, err := o.enter(ctx)
		if err != nil {
			return Decision{}, err
		}
		defer leave()
	}
	var allowed *Policy
	for _, list := range candidates {
		if list == nil {
			continue
		}
		for _, p := range list.policies {
			switch {
			case ctx.Err() != nil: // one that was not asked could be one that denies
				return Decision{}, ctx.Err()
			case allowed != nil && !p.deny || !p.matches(r):
			case p.deny:
				return deniedBy(p.id), nil
			default:
				allowed = p
			}
		}
	}
	if allowed != nil {
		return allowedBy(allowed.id), nil
	}
	return Decision{Reason: "no policy allows it"}, nil
}

// enter waits for the user's turn, and then for one of the places.
func (o *Owned) enter(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, busyAfter, ErrBusy)
	defer cancel()
	for i, c := range []chan struct{}{o.turn, o.places} {
		select {
		case c <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-o.turn
			}
			return nil, context.Cause(ctx)
		}
	}
	return func() { <-o.places; <-o.turn }, nil
}

// with returns what the user has after a change, or nil if it is nothing.
func (o *Owned) with(changed []*Policy, left map[string]bool, places chan struct{}) *Owned {
	next := &Owned{places: places}
	if o != nil {
		next.turn = o.turn
		for _, p := range o.all {
			if !left[p.id] {
				next.add(p)
			}
		}
	}
	for _, p := range changed {
		next.add(p)
	}
	if len(next.all) == 0 {
		return nil
	}
	patterns := 0
	for _, p := range next.all {
		patterns += p.patterns()
	}
	if patterns > costly && next.turn == nil {
		next.turn = make(chan struct{}, 1)
	}
	return next
}

func (o *Owned) add(p *Policy) {
	o.all = append(o.all, p)
	switch {
	case p.err != nil:
		o.broken = p.id
	case literal(p.subjects):
		addUnder(&o.bySubject, p.subjects, p)
	case literal(p.resources):
		addUnder(&o.byResource, p.resources, p)
	default:
		o.rest.add(p)
	}
}

func addUnder(index *map[string]*list, names []string, p *Policy) {
	if *index == nil {
		*index = make(map[string]*list)
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		if (*index)[name] == nil {
			(*index)[name] = new(list)
		}
		(*index)[name].add(p)
	}
}

func (l *list) add(p *Policy) {
	l.policies = append(l.policies, p)
	l.patterns += p.patterns()
}

func literal(patterns []string) bool {
	return !slices.ContainsFunc(patterns, func(p string) bool { return strings.Contains(p, "*") })
}
