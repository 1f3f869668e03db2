// Package model has what the apiserver stores: users, and the secrets and policies that they own.
//
// The structs are at the same time the rows of the tables and the JSON of the answers: gorm:"-" is
// not stored, json:"-" not shown. What a client may send has types of its own, in package service.
package model

import (
	"github.com/gracekit/gracekit/examples/iam/internal/policy"
	"github.com/gracekit/gracekit/objectmeta"
)

// The instance IDs of the three kinds: integers in the program and in the database, user-…,
// secret-… and policy-… to the world.
type (
	UserID   = objectmeta.ID[UserKind]
	SecretID = objectmeta.ID[SecretKind]
	PolicyID = objectmeta.ID[PolicyKind]
)

// A User may log in. Its name is unique and never changes: policies speak of it, and it is its
// address in the API.
type User struct {
	objectmeta.ObjectMeta[UserKind] `json:"metadata"`

	Email string `json:"email,omitempty" gorm:"column:email;type:varchar(254);not null"`
	// Admin users may manage all users. Only an admin can make another one.
	Admin bool `json:"admin,omitempty" gorm:"column:admin;not null"`

	// Disabled users cannot log in, and the authzservers refuse their secrets.
	Disabled bool `json:"disabled,omitempty" gorm:"column:disabled;not null"`

	PasswordHash string `json:"-" gorm:"column:passwordHash;type:varchar(72);not null"`

	// Policies is how many the user has, in the list of users.
	Policies *int64 `json:"policies,omitempty" gorm:"-"`
}

// A Secret signs the tokens with which its owner asks an authzserver.
type Secret struct {
	objectmeta.ObjectMeta[SecretKind] `json:"metadata"`

	OwnerID UserID `json:"ownerID,omitzero" gorm:"column:ownerID;not null"`

	Description string `json:"description,omitempty" gorm:"column:description;type:varchar(256);not null"`
	// Expires is in seconds since 1970; 0 is never.
	Expires int64 `json:"expires,omitempty" gorm:"column:expires;not null"`

	// Key is shown once, in the answer to the creation.
	Key string `json:"key,omitempty" gorm:"-"`
	// SigningKey is what tokens are signed with: the bytes of the text that Key showed. Whoever
	// verifies an HMAC needs the key itself, so it cannot be stored as a hash.
	SigningKey string `json:"-" gorm:"column:signingKey;type:varchar(64);not null"`
}

// Owner returns whom it belongs to.
func (s Secret) Owner() UserID { return s.OwnerID }

// A Policy is a document that the authzservers ask for tokens of its owner.
type Policy struct {
	objectmeta.ObjectMeta[PolicyKind] `json:"metadata"`

	OwnerID UserID `json:"ownerID,omitzero" gorm:"column:ownerID;not null"`

	Document policy.Document `json:"policy" gorm:"column:document;type:text;not null;serializer:json"`
}

// Owner returns whom it belongs to.
func (p Policy) Owner() UserID { return p.OwnerID }
