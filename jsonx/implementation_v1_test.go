//go:build !goexperiment.jsonv2

package jsonx_test

// implementation is that of encoding/json in this build. The engine json-iterator leaves much to
// it.
const implementation = "v1"
