//go:build !jsoniter

package componentjson

const underTag = false
