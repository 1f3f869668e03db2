package service

import (
	"context"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/objectmeta"
)

// owned has the verbs that are the same for secrets and policies. They belong to the caller: what
// is somebody else's does not exist, except that an admin may look at it and delete it.
type owned[T interface{ Owner() model.UserID }, K objectmeta.Kind] struct {
	*core
	objects                 store.Owned[T, K]
	event                   notify.Event // that one of them has changed
	notFound, exists, quota response.Error
}

// Get returns an object.
func (o owned[T, K]) Get(ctx context.Context, caller *model.User, id objectmeta.ID[K]) (*T, error) {
	owner, err := o.ownerFor(ctx, caller, id)
	if err != nil {
		return nil, err
	}
	object, err := o.objects.Get(ctx, owner, id)
	return object, o.public(err)
}

// List returns a page of those that are selected.
func (o owned[T, K]) List(ctx context.Context, caller *model.User, fields Fields, options objectmeta.ListOptions) (page objectmeta.List[T], err error) {
	owner, conditions, err := o.whose(ctx, caller, Selection{Fields: fields})
	if err != nil {
		return page, err
	}
	offset, limit, err := pageOf(options)
	if err != nil {
		return page, err
	}
	return o.objects.List(ctx, owner, offset, limit, conditions...)
}

// Delete deletes an object.
func (o owned[T, K]) Delete(ctx context.Context, caller *model.User, id objectmeta.ID[K]) error {
	owner, err := o.ownerFor(ctx, caller, id)
	if err != nil {
		return err
	}
	version, err := o.objects.Delete(ctx, owner, id)
	return o.done(ctx, version, err)
}

// DeleteCollection deletes those that are selected.
func (o owned[T, K]) DeleteCollection(ctx context.Context, caller *model.User, selection Selection) error {
	owner, conditions, err := o.whose(ctx, caller, selection)
	if err != nil {
		return err
	}
	version, err := o.objects.DeleteCollection(ctx, owner, conditions...)
	return o.done(ctx, version, err)
}

// ownerFor returns under whom the caller may find the object.
func (o owned[T, K]) ownerFor(ctx context.Context, caller *model.User, id objectmeta.ID[K]) (model.UserID, error) {
	if !caller.Admin {
		return caller.ID, nil
	}
	owner, err := o.objects.OwnerOf(ctx, id)
	return owner, o.public(err)
}

// done tells the authzservers of a change that was made.
func (o owned[T, K]) done(ctx context.Context, version uint64, err error) error {
	if err != nil {
		return o.public(err)
	}
	o.changed(ctx, o.event, version)
	return nil
}

func (o owned[T, K]) public(err error) error { return public(err, o.notFound, o.exists, o.quota) }
