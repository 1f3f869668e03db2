//go:build !jsoniter && !jsonv2

package jsonx

const engine = "encoding/json"
