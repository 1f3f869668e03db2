//go:build jsoniter && !jsonv2

package jsonx

const engine = "github.com/json-iterator/go"
