//go:build !jsoniter

// Package json is a stand-in for iam's component-base package of that name, which is not in every
// module proxy: variables that a build tag points at one engine or another, and encoders of that
// engine's own types.
package json

import "encoding/json"

type RawMessage = json.RawMessage

var (
	Marshal       = json.Marshal
	Unmarshal     = json.Unmarshal
	MarshalIndent = json.MarshalIndent
	NewDecoder    = json.NewDecoder
	NewEncoder    = json.NewEncoder
)
