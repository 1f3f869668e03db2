//go:build jsoniter && jsonv2

package jsonx

const engine int = "the build tags jsoniter and jsonv2 exclude each other: choose one"
