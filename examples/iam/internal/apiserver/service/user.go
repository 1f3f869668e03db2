package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/gracekit/gracekit/concurrent"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/objectmeta"
)

// Users may be managed by admins; everybody else sees nobody but themselves.
type Users struct{ *core }

// A UserSpec is what a client may set of a user; of the metadata that is name and extend. Nil in an
// update leaves the value as it is.
type UserSpec struct {
	objectmeta.ObjectMeta[model.UserKind] `json:"metadata"`

	Email    string `json:"email"`
	Admin    *bool  `json:"admin"`
	Disabled *bool  `json:"disabled"`
	Password string `json:"password"`
}

func (s UserSpec) user() *model.User {
	user := &model.User{Email: s.Email}
	user.Name, user.Extend = s.Name, s.Extend
	if s.Admin != nil {
		user.Admin = *s.Admin
	}
	if s.Disabled != nil {
		user.Disabled = *s.Disabled
	}
	return user
}

// Create stores a user, for admins. The password is hashed and gone afterwards.
func (u Users) Create(ctx context.Context, caller *model.User, spec UserSpec) (*model.User, error) {
	if !caller.Admin {
		return nil, response.ErrForbidden.Detail("only an admin creates users")
	}
	user := spec.user()
	for _, err := range []error{validateName(user.Name), validateUser(user), validatePassword(spec.Password)} {
		if err != nil {
			return nil, err
		}
	}
	hash, err := u.hash(ctx, caller.ID.String(), spec.Password)
	if err != nil {
		return nil, err
	}
	user.PasswordHash = string(hash)
	return user, publicUser(u.Store.Users.By(caller.ID).Create(ctx, user))
}

// Get returns a user: anyone to an admin, themselves to everybody else, to whom the others do not
// exist.
func (u Users) Get(ctx context.Context, caller *model.User, name string) (*model.User, error) {
	if !caller.Admin && name != caller.Name {
		return nil, ErrUserNotFound
	}
	user, err := u.Store.Users.Get(ctx, name)
	return user, publicUser(err)
}

// List returns a page of the selected users to an admin, each with the number of its policies.
//
// The numbers are asked for as if they came from elsewhere, such as another service: some at a
// time, in the order of the users, and all of them within a bounded time or not at all. Where they
// do not, one query does it in a 27th of the time: see CountByGroup.
func (u Users) List(ctx context.Context, caller *model.User, fields Fields, options objectmeta.ListOptions) (page objectmeta.List[model.User], err error) {
	if !caller.Admin {
		return page, response.ErrForbidden.Detail("only an admin lists users")
	}
	conditions, err := Selection{Fields: fields}.conditions(userFields)
	if err != nil {
		return page, err
	}
	offset, limit, err := pageOf(options)
	if err != nil {
		return page, err
	}
	if page, err = u.Store.Users.List(ctx, offset, limit, conditions...); err != nil {
		return page, err
	}
	count := u.countEach
	if u.CountByGroup {
		count = u.countByGroup
	}
	counts, err := count(ctx, page.Items)
	if errors.Is(err, concurrent.ErrTimeout) {
		return page, fmt.Errorf("%w: %w", response.ErrTimeout, err)
	}
	if err != nil {
		return page, err
	}
	for i := range page.Items {
		page.Items[i].Policies = &counts[i]
	}
	return page, nil
}

func (u Users) countEach(ctx context.Context, users []model.User) ([]int64, error) {
	return concurrent.Map(ctx, users, func(ctx context.Context, user model.User) (int64, error) {
		return u.Store.Policies.Count(ctx, user.ID)
	}, concurrent.Limit(u.CountLimit), concurrent.Timeout(u.CountTimeout))
}

func (u Users) countByGroup(ctx context.Context, users []model.User) ([]int64, error) {
	ids, counts := make([]model.UserID, len(users)), make([]int64, len(users))
	for i, user := range users {
		ids[i] = user.ID
	}
	of, err := u.Store.Policies.Counts(ctx, ids)
	for i, id := range ids {
		counts[i] = of[id]
	}
	return counts, err
}

// Update replaces email and extend. An admin may also make others an admin or none, disable them,
// and give them a new password, with which all their tokens are void.
func (u Users) Update(ctx context.Context, caller *model.User, name string, spec UserSpec) (*model.User, error) {
	self := name == caller.Name
	if !caller.Admin && !self {
		return nil, ErrUserNotFound
	}
	user := spec.user()
	for _, err := range []error{sameName(user.Name, name), validateUser(user)} {
		if err != nil {
			return nil, err
		}
	}
	switch {
	case self && spec.Password != "":
		return nil, response.ErrForbidden.Detail("a new password needs the old one: PUT /v1/users/%s/change-password", name)
	case caller.Admin && self && (spec.Admin != nil && !user.Admin || user.Disabled):
		return nil, ErrOwnAdmin
	case !caller.Admin && (user.Admin || spec.Disabled != nil && user.Disabled):
		return nil, response.ErrForbidden.Detail("only an admin makes another one, or disables anybody")
	}
	user.Name = name
	columns, users := []string{"email", "extendShadow"}, u.Store.Users
	if caller.Admin {
		users = users.By(caller.ID)
		if spec.Admin != nil {
			columns = append(columns, "admin")
		}
		if spec.Disabled != nil {
			columns = append(columns, "disabled")
		}
	}
	if spec.Password != "" {
		if err := validatePassword(spec.Password); err != nil {
			return nil, err
		}
		hash, err := u.hash(ctx, caller.ID.String(), spec.Password)
		if err != nil {
			return nil, err
		}
		user.PasswordHash = string(hash)
		columns = append(columns, "passwordHash")
	}
	updated, version, err := users.Update(ctx, user, columns...)
	if err != nil {
		return nil, publicUser(err)
	}
	u.changed(ctx, notify.UserChanged, version)
	return updated, nil
}

// ChangePassword gives the caller another password, for the old one. All tokens of the caller are
// void then.
func (u Users) ChangePassword(ctx context.Context, caller *model.User, name, old, password string) error {
	if name != caller.Name {
		return ErrUserNotFound
	}
	if err := validatePassword(password); err != nil {
		return err
	}
	same, err := u.matches(ctx, caller.ID.String(), []byte(caller.PasswordHash), old)
	switch {
	case err != nil:
		return err
	case !same:
		return ErrOldPassword
	}
	hash, err := u.hash(ctx, caller.ID.String(), password)
	if err != nil {
		return err
	}
	change := &model.User{PasswordHash: string(hash)}
	change.Name = name
	_, _, err = u.Store.Users.Update(ctx, change, "passwordHash")
	return publicUser(err)
}

// Delete deletes a user with all its secrets and policies: anyone by an admin, themselves by
// everybody else.
func (u Users) Delete(ctx context.Context, caller *model.User, name string) error {
	self, users := name == caller.Name, u.Store.Users
	switch {
	case !caller.Admin && !self:
		return ErrUserNotFound
	case caller.Admin && self:
		return ErrOwnAdmin
	case caller.Admin:
		users = users.By(caller.ID)
	}
	version, err := users.Delete(ctx, name)
	if err != nil {
		return publicUser(err)
	}
	u.changed(ctx, notify.UserChanged, version)
	return nil
}

// DeleteCollection deletes the selected users, except admins, with all that they own, by an admin.
func (u Users) DeleteCollection(ctx context.Context, caller *model.User, selection Selection) error {
	if !caller.Admin {
		return response.ErrForbidden.Detail("only an admin deletes users")
	}
	conditions, err := selection.conditions(userFields)
	if err != nil {
		return err
	}
	version, err := u.Store.Users.By(caller.ID).DeleteCollection(ctx, conditions...)
	if err != nil {
		return publicUser(err)
	}
	u.changed(ctx, notify.UserChanged, version)
	return nil
}
