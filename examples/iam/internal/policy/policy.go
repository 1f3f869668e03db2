package policy

import (
	"fmt"
	"strings"
)

// A Policy is one document, ready to be asked.
type Policy struct {
	id, owner                    string
	deny                         bool
	subjects, actions, resources []string
	err                          error
}

// New reads a policy as the apiserver hands it out. A document that cannot be read makes a policy
// that denies its owner everything, because it may be one that denies; Err says why.
func New(id, owner string, document []byte) *Policy {
	p := &Policy{id: id, owner: owner}
	doc, err := Parse(document)
	if err != nil {
		p.err = fmt.Errorf("%s of %s: %w", id, owner, err)
		return p
	}
	p.deny, p.subjects, p.actions, p.resources = doc.Effect == Deny, doc.Subjects, doc.Actions, doc.Resources
	return p
}

// Err returns why the document cannot be read, or nil.
func (p *Policy) Err() error { return p.err }

func (p *Policy) patterns() int { return len(p.subjects) + len(p.actions) + len(p.resources) }

func (p *Policy) matches(r Request) bool {
	return anyMatch(p.subjects, r.Subject) && anyMatch(p.actions, r.Action) && anyMatch(p.resources, r.Resource)
}

func anyMatch(patterns []string, s string) bool {
	for _, p := range patterns {
		if match(p, s) {
			return true
		}
	}
	return false
}

// match takes the leftmost place for each piece between two *: if there is a match, there is one
// like this, so it never has to go back.
func match(pattern, s string) bool {
	piece, rest, wild := strings.Cut(pattern, "*")
	s, found := strings.CutPrefix(s, piece)
	if !found || !wild {
		return found && s == ""
	}
	for {
		if piece, rest, wild = strings.Cut(rest, "*"); !wild {
			return strings.HasSuffix(s, piece)
		}
		if _, s, found = strings.Cut(s, piece); !found {
			return false
		}
	}
}
