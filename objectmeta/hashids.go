package objectmeta

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hashids is the [Codec] of services that already hand out codes of the hashids algorithm
// (https://hashids.org), as go-hashids makes them, each of a single number. Its defaults are iam's:
// the alphabet abcdefghijklmnopqrstuvwxyz1234567890, at least 6 characters, written back to front.
//
// For a new service use a [Hasher]. Hashids does not encrypt: anyone who sees a few codes can work
// out the salt, hence all ids and their number. The same id has the same code in every kind. With
// iam's settings, codes of six characters end at id 7,962,623.
//
// Unlike go-hashids it covers all of uint64, and its codes are of one number, in one kind. Decode
// never panics, and like go-hashids since version 2 it refuses codes that Encode does not give.
//
// A Hashids is immutable and safe for concurrent use. Build it once with [NewHashids], not per
// call.
type Hashids struct {
	prefix    string // kind and "-"
	minLength int
	reversed  bool

	// Everything below works with indices into the alphabet, which fit a byte for any character.
	letters []rune
	indexOf map[rune]byte
	ascii   [utf8.RuneSelf]byte // indexOf the ASCII characters, else noLetter

	// The algorithm splits the alphabet in three. The third part, the separators, stands between
	// the numbers of a code of several, so it is never in ours.
	lottery []byte
	guards  []byte

	// For each character of lottery: the alphabet that the number is written in if the code starts
	// with this character, then the alphabets that fill the code up to minLength, in order of use.
	alphabets [][][]byte

	margin int // see code
}

const (
	defaultAlphabet = "abcdefghijklmnopqrstuvwxyz1234567890"
	fewestLetters   = 16
	mostLetters     = 255
	noLetter        = mostLetters // the index of none
	longestMinimum  = 1 << 16
	// One lottery character, and 64 digits: an alphabet can shrink to two characters.
	longestNumber = 1 + 64
)

// NewHashids returns the [Hashids] of a kind. The salt may be empty, as in the original.
// The options are [MinLength] from 0 to 65,536, [Alphabet] and [Forward]; the kind is as for
// [NewHasher]. Anything else is an error that names all that is wrong.
func NewHashids(kind, salt string, opts ...Option) (*Hashids, error) {
	c := newConfig(opts)
	var errs []error
	errs = append(errs, validateKind(kind), validateAlphabet(c.alphabet))
	if c.minLength > longestMinimum {
		errs = append(errs, fmt.Errorf("objectmeta: NewHashids: MinLength(%d): "+
			"must be from 0 to %d", c.minLength, longestMinimum))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	h := &Hashids{prefix: kind + "-", minLength: c.minLength, reversed: !c.forward}
	h.index(c.alphabet)
	h.split([]rune(salt))
	h.margin = h.minLength + len(h.lottery)
	for _, letter := range h.lottery {
		// From here on the order depends on salt and first character of the code alone.
		salt := append([]rune{h.letters[letter]}, []rune(salt)...)
		salt = append(salt, h.runes(h.lottery)...)[:len(h.lottery)]
		alphabet := shuffle(h.lottery, salt)
		row := [][]byte{alphabet}
		for filled := 0; filled < h.minLength; filled += len(alphabet) {
			alphabet = shuffle(alphabet, h.runes(alphabet))
			row = append(row, alphabet)
		}
		h.alphabets = append(h.alphabets, row)
	}
	return h, nil
}

// validateAlphabet refuses what go-hashids refuses, and what no code should contain.
func validateAlphabet(alphabet string) error {
	seen := map[rune]bool{}
	for _, r := range alphabet {
		switch {
		case r == ' ' || r == utf8.RuneError || !unicode.IsPrint(r):
			return fmt.Errorf("objectmeta: NewHashids: Alphabet(%s): %+q: "+
				"must be a printable character, not a space", quote(alphabet), r)
		case seen[r]:
			return fmt.Errorf("objectmeta: NewHashids: Alphabet(%s): %+q stands there twice",
				quote(alphabet), r)
		}
		seen[r] = true
	}
	if len(seen) < fewestLetters || len(seen) > mostLetters {
		return fmt.Errorf("objectmeta: NewHashids: Alphabet(%s): "+
			"must have from %d to %d characters", quote(alphabet), fewestLetters, mostLetters)
	}
	return nil
}

// index numbers the characters of the alphabet.
func (h *Hashids) index(alphabet string) {
	h.letters = []rune(alphabet)
	h.indexOf = make(map[rune]byte, len(h.letters))
	for i := range h.ascii {
		h.ascii[i] = noLetter
	}
	for i, r := range h.letters {
		h.indexOf[r] = byte(i)
		if r < utf8.RuneSelf {
			h.ascii[r] = byte(i)
		}
	}
}

// split takes separators and guards out of the alphabet. Its constants are the algorithm's.
func (h *Hashids) split(salt []rune) {
	const usual, lettersPerSeparator, lettersPerGuard = "cfhistuCFHISTU", 3.5, 12.0

	var separators, alphabet []byte
	for _, r := range usual {
		if i, ok := h.indexOf[r]; ok {
			separators = append(separators, i)
		}
	}
	for i, r := range h.letters {
		if !strings.ContainsRune(usual, r) {
			alphabet = append(alphabet, byte(i))
		}
	}
	separators = shuffle(separators, salt)

	perSeparator := float64(len(alphabet)) / float64(len(separators))
	if len(separators) == 0 || perSeparator > lettersPerSeparator {
		want := max(2, int(math.Ceil(float64(len(alphabet))/lettersPerSeparator)))
		missing := want - len(separators)
		separators = append(separators, alphabet[:missing]...)
		alphabet = alphabet[missing:]
	}
	alphabet = shuffle(alphabet, salt)

	guards := int(math.Ceil(float64(len(alphabet)) / lettersPerGuard))
	if len(alphabet) < 3 {
		h.guards = separators[:guards]
	} else {
		h.guards, alphabet = alphabet[:guards], alphabet[guards:]
	}
	h.lottery = alphabet
}

func (h *Hashids) runes(indices []byte) []rune {
	runes := make([]rune, len(indices))
	for i, index := range indices {
		runes[i] = h.letters[index]
	}
	return runes
}

// shuffle is the algorithm's permutation of an alphabet under a salt. It returns a copy.
func shuffle(alphabet []byte, salt []rune) []byte {
	shuffled := slices.Clone(alphabet)
	if len(salt) == 0 {
		return shuffled
	}
	for i, v, p := len(shuffled)-1, 0, 0; i > 0; i-- {
		v %= len(salt)
		letter := int(salt[v])
		p += letter
		j := (letter + v + p) % i
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		v++
	}
	return shuffled
}

// Kind returns the kind that NewHashids was given.
func (h *Hashids) Kind() string { return strings.TrimSuffix(h.prefix, "-") }

// Encode returns the instance ID of id: kind, "-" and code.
func (h *Hashids) Encode(id uint64) string {
	var room [maxKindLength + 1 + longestNumber]byte
	return string(h.AppendEncode(room[:0], id))
}

// AppendEncode appends the instance ID of id to dst. It allocates nothing if dst has the capacity
// and MinLength is at most 64.
func (h *Hashids) AppendEncode(dst []byte, id uint64) []byte {
	var room hashidsRoom
	code := h.code(room[:], id)
	dst = slices.Grow(dst, len(h.prefix)+len(code))
	dst = append(dst, h.prefix...)
	for _, index := range code {
		dst = utf8.AppendRune(dst, h.letters[index])
	}
	return dst
}

// hashidsRoom has room for a code with MinLength(64) while it grows to both sides. What is longer
// gets its room from the heap.
type hashidsRoom [64 + 48 + longestNumber + 64 + 48]byte

// code returns the code of id as indices, in room if that is large enough. In the middle of room
// stands the number; on either side is a margin for guard and filling. The last filling is half an
// alphabet, of which some is cut off again.
func (h *Hashids) code(room []byte, id uint64) []byte {
	if size := h.margin + longestNumber + h.margin; len(room) < size {
		room = make([]byte, size)
	}
	sum := id % 100
	row := h.alphabets[sum%uint64(len(h.lottery))]
	first := h.lottery[sum%uint64(len(h.lottery))]

	alphabet := row[0]
	end := h.margin + longestNumber
	start := end
	for base, rest := uint64(len(alphabet)), id; start == end || rest > 0; rest /= base {
		start--
		room[start] = alphabet[rest%base]
	}
	start--
	room[start] = first

	// Fill up: a guard in front, a guard behind, then alphabets around it.
	if end-start < h.minLength {
		start--
		room[start] = h.guard(sum, first)
	}
	if end-start < h.minLength {
		// The algorithm takes the third character of what is there now, guard included.
		room[end] = h.guard(sum, room[start+2])
		end++
	}
	for i := 1; end-start < h.minLength; i++ {
		half := len(row[i]) / 2
		start -= copy(room[start-(len(row[i])-half):], row[i][half:])
		end += copy(room[end:], row[i][:half])
		if excess := end - start - h.minLength; excess > 0 {
			start += excess / 2
			end = start + h.minLength
		}
	}
	code := room[start:end]
	if h.reversed {
		slices.Reverse(code)
	}
	return code
}

func (h *Hashids) guard(sum uint64, letter byte) byte {
	return h.guards[(sum+uint64(h.letters[letter]))%uint64(len(h.guards))]
}

// Decode returns the id of an instance ID that Encode gave. Any other string is an *[IDError].
func (h *Hashids) Decode(s string) (uint64, error) {
	var room, again hashidsRoom
	if code, ok := strings.CutPrefix(s, h.prefix); ok {
		if indices, ok := h.indices(room[:0], code); ok {
			if id, ok := h.parse(indices); ok && bytes.Equal(h.code(again[:], id), indices) {
				return id, nil
			}
		}
	}
	return 0, &IDError{Kind: h.Kind(), Value: s}
}

// indices appends the indices of the characters of code to dst. It returns false if one of them is
// not of the alphabet, or if code is longer than any code.
func (h *Hashids) indices(dst []byte, code string) ([]byte, bool) {
	if len(code) > utf8.UTFMax*max(longestNumber, h.minLength) {
		return nil, false
	}
	for _, r := range code {
		index := byte(noLetter)
		if r < utf8.RuneSelf {
			index = h.ascii[r]
		} else if i, ok := h.indexOf[r]; ok {
			index = i
		}
		if index == noLetter {
			return nil, false
		}
		dst = append(dst, index)
	}
	return dst, true
}

// parse finds the one id whose code this could be. The caller must check that it is.
func (h *Hashids) parse(code []byte) (id uint64, ok bool) {
	if h.reversed {
		var room hashidsRoom
		code = append(room[:0], code...)
		slices.Reverse(code)
	}
	// A guard in front of the number, and one behind it, have only filling outside.
	if i := slices.IndexFunc(code, h.isGuard); i >= 0 {
		code = code[i+1:]
		if i := slices.IndexFunc(code, h.isGuard); i >= 0 {
			code = code[:i]
		}
	}
	if len(code) < 2 {
		return 0, false
	}
	row := bytes.IndexByte(h.lottery, code[0])
	if row < 0 {
		return 0, false
	}
	alphabet := h.alphabets[row][0]
	for _, index := range code[1:] {
		digit := bytes.IndexByte(alphabet, index)
		if digit < 0 {
			return 0, false
		}
		// Above MaxUint64 this wraps around, to an id with another code.
		id = id*uint64(len(alphabet)) + uint64(digit)
	}
	return id, true
}

func (h *Hashids) isGuard(index byte) bool { return bytes.IndexByte(h.guards, index) >= 0 }

// codeLength is the number of characters in the code of id. It never falls as ids grow.
func (h *Hashids) codeLength(id uint64) int {
	var room hashidsRoom
	return len(h.code(room[:], id))
}
