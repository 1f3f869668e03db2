package model

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"sync/atomic"

	"github.com/gracekit/gracekit/objectmeta"
)

// The kinds name what the instance IDs belong to, so that a secret's ID does not pass for a
// policy's.
type (
	UserKind   struct{}
	SecretKind struct{}
	PolicyKind struct{}
)

func (UserKind) InstanceIDs() objectmeta.Codec   { return inUse().user }
func (SecretKind) InstanceIDs() objectmeta.Codec { return inUse().secret }
func (PolicyKind) InstanceIDs() objectmeta.Codec { return inUse().policy }

// UseInstanceIDs says with which key the instance IDs are made, in the whole process, before the
// first one is needed. To say it again is fine; to say something else is an error, since IDs that
// have been given out would then belong to other objects.
func UseInstanceIDs(key []byte) error {
	user, err1 := objectmeta.NewHasher("user", key)
	secret, err2 := objectmeta.NewHasher("secret", key)
	policy, err3 := objectmeta.NewHasher("policy", key)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	instanceIDs.CompareAndSwap(nil, &codecs{key: bytes.Clone(key), user: user, secret: secret, policy: policy})
	if subtle.ConstantTimeCompare(inUse().key, key) != 1 {
		return errors.New("model: this process makes its instance IDs with another key already")
	}
	return nil
}

// instanceIDs is the one variable of the program that belongs to a package: a kind is a type, and a
// type has no other way to find its codecs. It is written once.
var instanceIDs atomic.Pointer[codecs]

type codecs struct {
	key                  []byte
	user, secret, policy objectmeta.Codec
}

// inUse returns codecs that are nil before UseInstanceIDs; the methods of an ID then fail and say
// why.
func inUse() *codecs {
	if c := instanceIDs.Load(); c != nil {
		return c
	}
	return new(codecs)
}
