//go:build jsonv2 && !jsoniter && goexperiment.jsonv2

package jsonx

// In these builds encoding/json is itself encoding/json/v2 with the options DefaultOptionsV1 and
// the error types of v1. Calling v2 directly would give the same bytes and lose the error types,
// so the tag adds no code: it makes a build with the older implementation fail.
const engine = "encoding/json/v2"
