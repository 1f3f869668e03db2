// Package hashids moves from go-hashids to package objectmeta, with the same codes.
package hashids

import (
	"slices"
)

// beforeCodec is what *hashids.HashID of go-hashids offers; a stand-in, since its module is not in
// every proxy.
type beforeCodec interface {
	Encode(numbers []int) (string, error)
}

// before is what a hook calls after each insert, to store the result in a second column by a second
// write.
func before(h beforeCodec, prefix string, id uint64) (string, error) {
	code, err := h.Encode([]int{int(id)}) // an error above math.MaxInt64, a panic in iam's GetInstanceID
	if err != nil {
		return "", err
	}
	letters := []rune(code)
	slices.Reverse(letters)
	return prefix + string(letters), nil
}
