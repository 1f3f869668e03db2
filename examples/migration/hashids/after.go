package hashids

import (
	"github.com/gracekit/gracekit/objectmeta"
)

// afterCodec is built once, at start-up. Its defaults are iam's: alphabet a-z then 1-9 and 0, six
// characters at least, reversed.
func afterCodec() (*objectmeta.Hashids, error) {
	return objectmeta.NewHashids("secret", "x20k5x")
}

// afterKind ties the codec to a type of its own, so that a user's ID does not pass for a secret's.
type afterKind struct{}

var secretIDs objectmeta.Codec // set by main: afterCodec

func (afterKind) InstanceIDs() objectmeta.Codec { return secretIDs }

// after is a row: no second column, no hook. ID is an integer in the database and secret-yj8m30 in
// JSON.
type after struct {
	objectmeta.ObjectMeta[afterKind] `json:"metadata"`

	Username string `json:"username"`
}

// afterBridge hides the rows after lastLegacyID and leaves the codes of those before as they are.
func afterBridge(legacy *objectmeta.Hashids, lastLegacyID uint64, secret []byte) (objectmeta.Codec, error) {
	next, err := objectmeta.NewHasher("secret", secret, objectmeta.MinLength(7))
	if err != nil {
		return nil, err
	}
	return objectmeta.NewBridge(legacy, lastLegacyID, next)
}
