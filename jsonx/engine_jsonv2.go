//go:build jsonv2 && !jsoniter && (goexperiment.jsonv2 || go1.28)

package jsonx

import "encoding/json"

const engine = "encoding/json/v2"

// In these builds encoding/json is itself encoding/json/v2 with the options DefaultOptionsV1 and
// with the error types of v1. Calling v2 directly would give the same bytes and lose the error types,
// so the tag adds no code: it makes a build with any other implementation fail, in this line
// where the constraint above cannot tell (the name exists in no other implementation).
var _ = json.DefaultOptionsV1
