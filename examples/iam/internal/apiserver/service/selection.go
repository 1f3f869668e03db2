package service

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// A Selection says which objects of a collection are meant. A deletion without one would be a
// mistake, so those that mean all have to say so.
type Selection struct {
	Names  []string
	Fields Fields
	All    bool
}

// Fields are what the fields of an object have to be.
type Fields map[string]string

// The fields that may be asked for, which are columns of the same name, and whether they are true
// or false.
var (
	userFields  = map[string]bool{"name": false, "email": false, "admin": true, "disabled": true}
	ownedFields = map[string]bool{"name": false} // and owner, see whose
)

func (s Selection) conditions(known map[string]bool) ([]store.Condition, error) {
	var all []store.Condition
	for _, name := range s.Names {
		if err := validateName(name); err != nil {
			return nil, err
		}
	}
	if len(s.Names) > 0 {
		all = append(all, store.Is("name", s.Names))
	}
	for field, value := range s.Fields {
		isBool, ok := known[field]
		if !ok {
			return nil, ErrInvalidQuery.Detail("fieldSelector: there is no field %.40q, want one of %s",
				field, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if err := validateText("fieldSelector", value, maxEmail); err != nil {
			return nil, err
		}
		if !isBool {
			all = append(all, store.Is(field, value))
			continue
		}
		b, err := strconv.ParseBool(value)
		if err != nil {
			return nil, ErrInvalidQuery.Detail("fieldSelector: %s is %.40q, must be true or false", field, value)
		}
		all = append(all, store.Is(field, b))
	}
	return all, nil
}

// whose returns whose secrets or policies are meant: the caller's, or for an admin also those of
// the user in the field owner.
func (c *core) whose(ctx context.Context, caller *model.User, selection Selection) (model.UserID, []store.Condition, error) {
	fields := maps.Clone(selection.Fields)
	owner, other := fields["owner"]
	delete(fields, "owner")
	conditions, err := Selection{Names: selection.Names, Fields: fields}.conditions(ownedFields)
	switch {
	case err != nil:
		return 0, nil, err
	case !other || owner == caller.Name:
		return caller.ID, conditions, nil
	case !caller.Admin:
		return 0, nil, ErrUserNotFound
	}
	user, err := c.Store.Users.Get(ctx, owner)
	if err != nil {
		return 0, nil, publicUser(err)
	}
	return user.ID, conditions, nil
}
