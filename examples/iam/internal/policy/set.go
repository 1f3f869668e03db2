package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/cedar-policy/cedar-go"
)

// A Set holds the policies of all users and decides by those of one. It never changes, so any number of goroutines may use it.
//
// The deciding is done by Cedar (https://www.cedarpolicy.com), whose rules are those of this package: permit and forbid, forbid
// wins, nothing is allowed by default, and "like" with *. What is added here is an index, since Cedar asks each policy that it is
// given: a policy that names its subjects, or else its resources, without * is asked only about these. The benchmark in this
// package shows what that is worth.
type Set struct {
	owners   map[string]*owned
	compiled map[string]*compiled // by ID
}

// A Source is a policy as the apiserver hands it out.
type Source struct {
	ID       string
	Owner    string
	Document []byte // JSON
}

// A Request is what is asked: may this subject do this to that? In it * is a character like any other.
type Request struct {
	Subject  string
	Action   string
	Resource string
}

// A Decision is the answer.
type Decision struct {
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"` // for people: "denied by policy-3v18jq"
}

// NewSet makes a set. It takes over from previous, which may be nil, the policies that are the same, so that one change among
// 10,000 is cheap.
//
// A document that cannot be read makes a set in which its owner is denied everything, because it may be one that denies. The
// error, which comes with the set, names all of them.
func NewSet(sources []Source, previous *Set) (*Set, error) {
	s := &Set{owners: make(map[string]*owned), compiled: make(map[string]*compiled, len(sources))}
	var errs []error
	for _, source := range sources {
		c := previous.lookup(source)
		if c == nil {
			c = compile(source)
		}
		if c.err != nil {
			errs = append(errs, fmt.Errorf("%s of %s: %w", source.ID, source.Owner, c.err))
		}
		s.compiled[source.ID] = c
		owner := s.owners[source.Owner]
		if owner == nil {
			owner = &owned{bySubject: make(map[string][]*compiled), byResource: make(map[string][]*compiled)}
			s.owners[source.Owner] = owner
		}
		owner.add(c)
	}
	return s, errors.Join(errs...)
}

// Len returns the number of policies.
func (s *Set) Len() int { return len(s.compiled) }

// Decide asks the policies of owner. Its error is that of ctx, which bounds the time: a policy may be as large as MaxSize, and be made of
// patterns that take long to tell from what is asked, some ten milliseconds in all, and nothing bounds how many of these a user has.
func (s *Set) Decide(ctx context.Context, owner string, r Request) (Decision, error) {
	own := s.owners[owner]
	if own == nil {
		return Decision{Reason: "no policy allows it"}, nil
	}
	if own.broken != "" {
		return Decision{Reason: own.broken + " cannot be read, and could be one that denies"}, nil
	}
	decision, diagnostic := cedar.Authorize(candidates{ctx, own, r}, nil, cedar.Request{Context: cedar.NewRecord(cedar.RecordMap{
		subject: cedar.String(r.Subject), action: cedar.String(r.Action), resource: cedar.String(r.Resource),
	})})
	if err := ctx.Err(); err != nil { // not all policies were asked, and one of the others could be one that denies
		return Decision{}, err
	}
	return explain(decision, diagnostic), nil
}

func explain(decision cedar.Decision, diagnostic cedar.Diagnostic) Decision {
	switch {
	case len(diagnostic.Errors) > 0: // Cedar leaves a policy out that fails, and it could be one that denies
		return Decision{Reason: string(diagnostic.Errors[0].PolicyID) + " failed, and could be one that denies"}
	case len(diagnostic.Reasons) == 0:
		return Decision{Reason: "no policy allows it"}
	case decision == cedar.Allow:
		return Decision{Allowed: true, Reason: "allowed by " + string(diagnostic.Reasons[0].PolicyID)}
	default:
		return Decision{Reason: "denied by " + string(diagnostic.Reasons[0].PolicyID)}
	}
}

// lookup returns the compiled form of the source, if s has it.
func (s *Set) lookup(source Source) *compiled {
	if s == nil {
		return nil
	}
	if c := s.compiled[source.ID]; c != nil && bytes.Equal(c.document, source.Document) {
		return c
	}
	return nil
}

// owned is what one user has: each policy stands under every subject it names, or every resource, or among the rest.
type owned struct {
	bySubject  map[string][]*compiled
	byResource map[string][]*compiled
	rest       []*compiled
	broken     string // ID of one that cannot be read
}

func (o *owned) add(c *compiled) {
	switch {
	case c.err != nil:
		o.broken = string(c.id)
	case c.subjects != nil:
		for s := range c.subjects {
			o.bySubject[s] = append(o.bySubject[s], c)
		}
	case c.resources != nil:
		for r := range c.resources {
			o.byResource[r] = append(o.byResource[r], c)
		}
	default:
		o.rest = append(o.rest, c)
	}
}

// candidates are the policies that can match a request, until ctx ends. It is what Cedar takes for a set of policies.
type candidates struct {
	ctx context.Context
	own *owned
	r   Request
}

func (c candidates) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, list := range [...][]*compiled{c.own.bySubject[c.r.Subject], c.own.byResource[c.r.Resource], c.own.rest} {
			for _, p := range list {
				if c.ctx.Err() != nil || !yield(p.id, p.policy) {
					return
				}
			}
		}
	}
}

// compiled is one policy, ready to be asked.
type compiled struct {
	document []byte
	id       cedar.PolicyID
	policy   *cedar.Policy
	err      error

	subjects, resources map[string]bool // nil if one of them has a *
}

func compile(source Source) *compiled {
	c := &compiled{document: source.Document, id: cedar.PolicyID(source.ID)}
	doc, err := Parse(source.Document)
	if err != nil {
		c.err = err
		return c
	}
	c.policy = doc.cedar()
	c.subjects, c.resources = literal(doc.Subjects), literal(doc.Resources)
	return c
}

// literal returns the patterns as a set, or nil if one of them has a *.
func literal(patterns []string) map[string]bool {
	set := make(map[string]bool, len(patterns))
	for _, p := range patterns {
		if strings.Contains(p, "*") {
			return nil
		}
		set[p] = true
	}
	return set
}
