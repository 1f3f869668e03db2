//go:build jsonv2 && !jsoniter && !goexperiment.jsonv2

package jsonx

const engine int = "the build tag jsonv2 needs Go 1.27, or Go 1.26 with GOEXPERIMENT=jsonv2 in the environment"
