package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/gracekit/gracekit/concurrent"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

const (
	defaultLimit = 20
	maxLimit     = 1000
)

// List returns a page of all users to an admin, each with the number of its policies.
//
// A JOIN would count faster. This is how it is done where the numbers come from elsewhere, such as another service: some at a time, in
// the order of the users, and all of them within a bounded time or not at all.
func (u Users) List(ctx context.Context, caller *model.User, options objectmeta.ListOptions) (page objectmeta.List[model.User], err error) {
	if !caller.Admin {
		return page, response.ErrForbidden.Detail("only an admin lists users")
	}
	offset, limit, err := pageOf(options)
	if err != nil {
		return page, err
	}
	if page, err = u.Store.Users.List(ctx, offset, limit); err != nil {
		return page, err
	}
	counts, err := concurrent.Map(ctx, page.Items, func(ctx context.Context, user model.User) (int64, error) {
		return u.Store.Policies.Count(ctx, user.ID)
	}, concurrent.Limit(u.CountLimit), concurrent.Timeout(u.CountTimeout))
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

// List returns a page of the caller's secrets, without their keys.
func (s Secrets) List(ctx context.Context, caller *model.User, options objectmeta.ListOptions) (page objectmeta.List[model.Secret], err error) {
	offset, limit, err := pageOf(options)
	if err != nil {
		return page, err
	}
	return s.Store.Secrets.List(ctx, caller.ID, offset, limit)
}

// List returns a page of the caller's policies.
func (p Policies) List(ctx context.Context, caller *model.User, options objectmeta.ListOptions) (page objectmeta.List[model.Policy], err error) {
	offset, limit, err := pageOf(options)
	if err != nil {
		return page, err
	}
	return p.Store.Policies.List(ctx, caller.ID, offset, limit)
}

func pageOf(options objectmeta.ListOptions) (offset, limit int, err error) {
	offset, limit, err = options.Page(defaultLimit, maxLimit)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrInvalidPage.Detail("offset and limit must not be negative"), err)
	}
	return offset, limit, nil
}
