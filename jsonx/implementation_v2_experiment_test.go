//go:build goexperiment.jsonv2 && !go1.27

package jsonx_test

// implementation is that of encoding/json in this build: v2 as it was in Go 1.26, an experiment.
const implementation = "v2exp"
