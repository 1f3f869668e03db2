package objectmeta

import "fmt"

// An Option changes how [NewHasher] and [NewHashids] make codes. A nil Option is skipped.
//
// Whatever is chosen here is chosen once: other options give other codes for the same rows.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	minLength   int
	alphabet    string
	alphabetSet bool
	forward     bool
	forwardSet  bool
}

// defaultMinLength is what iam's instance IDs have.
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

// MinLength sets how many characters the shortest code has, not counting the kind. The default is 6.
// A [Hasher] takes 4 to 24, [Hashids] 0 to 64; the constructor returns an error for anything else.
// MinLength panics if n is negative.
func MinLength(n int) Option {
	if n < 0 {
		panic(fmt.Sprintf("objectmeta: MinLength(%d): must not be negative", n))
	}
	return optionFunc(func(c *config) { c.minLength = n })
}

// Alphabet sets the characters, and their order, that the codes of [Hashids] are made of. The default is iam's,
// abcdefghijklmnopqrstuvwxyz1234567890. [NewHashids] returns an error unless it is 16 or more
// different printable ASCII characters without space and "-". A [Hasher] always uses 0-9a-z, and [NewHasher] refuses
// this option.
func Alphabet(characters string) Option {
	return optionFunc(func(c *config) { c.alphabet, c.alphabetSet = characters, true })
}

// Reversed says whether [Hashids] writes its codes back to front. The default is true, as iam stores them;
// Reversed(false) gives them as go-hashids does. [NewHasher] refuses this option.
func Reversed(on bool) Option {
	return optionFunc(func(c *config) { c.forward, c.forwardSet = !on, true })
}
