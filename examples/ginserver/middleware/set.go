package middleware

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// A Set says by name how middlewares are made. Only those that are chosen are made, so that what the others need may be missing.
type Set map[string]func() (gin.HandlerFunc, error)

// Always returns a constructor that cannot fail.
func Always(h gin.HandlerFunc) func() (gin.HandlerFunc, error) {
	return func() (gin.HandlerFunc, error) { return h, nil }
}

// Chain makes the middlewares of these names, in this order: the first one is the outermost. Its error names everything that is wrong with
// them, and which names there are.
func (s Set) Chain(names []string) ([]gin.HandlerFunc, error) {
	chain := make([]gin.HandlerFunc, 0, len(names))
	var wrong []error
	for i, name := range names {
		construct, known := s[name]
		switch {
		case name == "requestid" || name == "context":
			wrong = append(wrong, fmt.Errorf("middleware %q is always installed: leave it out of the list", name))
		case !known:
			wrong = append(wrong, fmt.Errorf("unknown middleware %q: known are %s", name, strings.Join(slices.Sorted(maps.Keys(s)), ", ")))
		case slices.Contains(names[:i], name):
			wrong = append(wrong, fmt.Errorf("middleware %q is in the list twice", name))
		default:
			h, err := construct()
			if err != nil {
				wrong = append(wrong, fmt.Errorf("middleware %q: %w", name, err))
			}
			chain = append(chain, h)
		}
	}
	return chain, errors.Join(wrong...)
}
