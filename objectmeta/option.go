package objectmeta

import "fmt"

// An Option changes how [NewHasher] and [NewHashids] make codes. A nil Option is skipped.
//
// Choose options once: other options give other codes for the same rows.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	minLength   int
	alphabet    string
	alphabetSet bool
	forward     bool
}

// defaultMinLength is that of iam's instance IDs.
const defaultMinLength = 6

func newConfig(opts []Option) config {
	c := config{minLength: defaultMinLength, alphabet: defaultAlphabet}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c)
		}
	}
	return c
}

// MinLength sets how many characters the shortest code has, not counting the kind. The default is
// 6. A [Hasher] takes 4 to 24, [Hashids] 0 to 65,536; the constructor returns an error for
// anything else. MinLength panics if n is negative.
func MinLength(n int) Option {
	if n < 0 {
		panic(fmt.Sprintf("objectmeta: MinLength(%d): must not be negative", n))
	}
	return optionFunc(func(c *config) { c.minLength = n })
}

// Alphabet sets the characters, and their order, that the codes of [Hashids] are made of.
// The default is iam's, abcdefghijklmnopqrstuvwxyz1234567890. [NewHashids] returns an error unless
// there are 16 to 255 characters, all different, printable and not a space.
//
// With "-" in the alphabet an instance ID may be one of two kinds, such as pod and pod-set. Which
// kind it is decoded as is for the caller to know, as it always is with [ParseID].
//
// A [Hasher] always uses 0-9a-z, and [NewHasher] refuses this option.
func Alphabet(characters string) Option {
	return optionFunc(func(c *config) { c.alphabet, c.alphabetSet = characters, true })
}

// Forward makes [Hashids] write its codes as go-hashids does. Without it they are written back to
// front, as iam stores them. [NewHasher] refuses this option.
func Forward() Option {
	return optionFunc(func(c *config) { c.forward = true })
}
