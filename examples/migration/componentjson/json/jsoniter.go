//go:build jsoniter

package json

import jsoniter "github.com/json-iterator/go"

type RawMessage = jsoniter.RawMessage

var (
	engine        = jsoniter.ConfigCompatibleWithStandardLibrary
	Marshal       = engine.Marshal
	Unmarshal     = engine.Unmarshal
	MarshalIndent = engine.MarshalIndent
	NewDecoder    = engine.NewDecoder
	NewEncoder    = engine.NewEncoder
)
