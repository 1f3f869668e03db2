package policy

import "runtime"

// A Set holds the policies of all users, and each user's are asked on their own. One goroutine may
// change it; see [Set.Prepare].
type Set struct {
	owners  map[string]*Owned // by the owner's ID
	ownerOf map[string]string // by the policy's ID
	places  chan struct{}     // of costly decisions; see Owned.Decide
}

// NewSet returns an empty set.
func NewSet() *Set {
	return &Set{
		owners: make(map[string]*Owned), ownerOf: make(map[string]string),
		places: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
	}
}

// Len returns the number of policies.
func (s *Set) Len() int { return len(s.ownerOf) }

// Of returns the policies of one user, which may be nil and never change.
func (s *Set) Of(owner string) *Owned { return s.owners[owner] }

// Prepare makes a change ready: policies that are new or changed, and IDs of those that are gone.
// Only the function that it returns makes the change, which takes a moment: so a caller locks out
// the readers of the set for that alone. What it costs depends on the users concerned, not on all.
func (s *Set) Prepare(changed []*Policy, gone []string) (commit func()) {
	type change struct {
		changed []*Policy
		left    map[string]bool // IDs, which the owner has no more, or has changed
	}
	changes := make(map[string]*change)
	of := func(owner string) *change {
		c := changes[owner]
		if c == nil {
			c = &change{left: make(map[string]bool)}
			changes[owner] = c
		}
		return c
	}
	leave := func(id string) {
		if owner, held := s.ownerOf[id]; held {
			of(owner).left[id] = true
		}
	}
	for _, id := range gone {
		leave(id)
	}
	for _, p := range changed {
		leave(p.id)
		c := of(p.owner)
		c.changed = append(c.changed, p)
	}
	next := make(map[string]*Owned, len(changes))
	for owner, c := range changes {
		next[owner] = s.owners[owner].with(c.changed, c.left, s.places)
	}
	return func() {
		for _, id := range gone {
			delete(s.ownerOf, id)
		}
		for _, p := range changed {
			s.ownerOf[p.id] = p.owner
		}
		for owner, own := range next {
			if s.owners[owner] = own; own == nil {
				delete(s.owners, owner)
			}
		}
	}
}
