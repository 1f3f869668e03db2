package objectmeta

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Hashids is the [Codec] of services that already hand out codes of the hashids algorithm (https://hashids.org), as
// go-hashids makes them, each of a single number. Its defaults are iam's: the alphabet
// abcdefghijklmnopqrstuvwxyz1234567890, at least 6 characters, written back to front.
//
// For a new service use a [Hasher]. Hashids does not encrypt: anyone who sees a few codes can work out the salt, hence all
// ids and their number; the same id has the same code in every kind; and with iam's settings six characters end at id
// 7,962,623.
//
// Unlike go-hashids it covers all of uint64, and its codes are of one number, in one kind. Decode refuses, as go-hashids
// does since version 2, codes that are not what Encode gives, and never panics.
//
// A Hashids is immutable and safe for concurrent use. Build it once with [NewHashids], not per call.
type Hashids struct {
	prefix    string // kind and "-"
	minLength int
	reversed  bool

	// The parts into which the algorithm splits the alphabet. A third, the separators, stands between the numbers
	// of a code of several, hence nowhere in ours.
	lottery string
	guards  string

	// For each character of lottery, the alphabet that the number is written in if the code starts with this
	// character, and after it the alphabets that fill the code up to minLength, in the order of use.
	alphabets [][]string
}

const (
	defaultAlphabet = "abcdefghijklmnopqrstuvwxyz1234567890"
	fewestLetters   = 16
	longestMinimum  = 64
	// A lottery character and 64 digits, which an alphabet can get as short as two for.
	longestNumber = 1 + 64
)

// NewHashids returns the [Hashids] of a kind. The salt may be empty, as in the original. The options are [MinLength] from
// 0 to 64, [Alphabet] and [Reversed]; the kind is as for [NewHasher]. Anything else is an error, which names all that is
// wrong.
func NewHashids(kind, salt string, opts ...Option) (*Hashids, error) {
	c := newConfig(opts)
	var errs []error
	errs = append(errs, validateKind(kind), validateAlphabet(c.alphabet))
	if c.minLength > longestMinimum {
		errs = append(errs, fmt.Errorf("objectmeta: NewHashids: MinLength(%d): must be from 0 to %d", c.minLength, longestMinimum))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	h := &Hashids{prefix: kind + "-", minLength: c.minLength, reversed: !c.forward}
	h.split(c.alphabet, []rune(salt))
	for _, letter := range h.lottery {
		// From here on the order depends on salt and first character of the code alone.
		salt := append([]rune{letter}, []rune(salt)...)
		salt = append(salt, []rune(h.lottery)...)[:len(h.lottery)]
		alphabet := shuffle(h.lottery, salt)
		row := []string{alphabet}
		for filled := 0; filled < h.minLength; filled += len(alphabet) {
			alphabet = shuffle(alphabet, []rune(alphabet))
			row = append(row, alphabet)
		}
		h.alphabets = append(h.alphabets, row)
	}
	return h, nil
}

func validateAlphabet(alphabet string) error {
	seen := [128]bool{}
	for _, r := range alphabet {
		switch {
		case r <= ' ' || r > '~' || r == '-':
			return fmt.Errorf("objectmeta: NewHashids: Alphabet(%s): %q: must be printable ASCII without space and -", quote(alphabet), r)
		case seen[r]:
			return fmt.Errorf("objectmeta: NewHashids: Alphabet(%s): %q stands there twice", quote(alphabet), r)
		}
		seen[r] = true
	}
	if len(alphabet) < fewestLetters {
		return fmt.Errorf("objectmeta: NewHashids: Alphabet(%s): must have %d characters or more", quote(alphabet), fewestLetters)
	}
	return nil
}

// split takes separators and guards out of the alphabet. Its constants are the algorithm's.
func (h *Hashids) split(alphabet string, salt []rune) {
	const lettersPerSeparator, lettersPerGuard = 3.5, 12.0

	const usual = "cfhistuCFHISTU"
	separators := shuffle(keep(usual, func(r rune) bool { return strings.ContainsRune(alphabet, r) }), salt)
	alphabet = keep(alphabet, func(r rune) bool { return !strings.ContainsRune(usual, r) })

	if len(separators) == 0 || float64(len(alphabet))/float64(len(separators)) > lettersPerSeparator {
		want := max(2, int(math.Ceil(float64(len(alphabet))/lettersPerSeparator)))
		missing := want - len(separators)
		separators += alphabet[:missing]
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

func keep(s string, wanted func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if wanted(r) {
			return r
		}
		return -1
	}, s)
}

// shuffle is the algorithm's permutation of an alphabet under a salt.
func shuffle(alphabet string, salt []rune) string {
	if len(salt) == 0 {
		return alphabet
	}
	shuffled := []byte(alphabet)
	for i, v, p := len(shuffled)-1, 0, 0; i > 0; i-- {
		v %= len(salt)
		letter := int(salt[v])
		p += letter
		j := (letter + v + p) % i
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		v++
	}
	return string(shuffled)
}

// Kind returns the kind that NewHashids was given.
func (h *Hashids) Kind() string { return strings.TrimSuffix(h.prefix, "-") }

// Encode returns the instance ID of id: kind, "-" and code.
func (h *Hashids) Encode(id uint64) string {
	var room [maxKindLength + 1 + max(longestNumber, longestMinimum)]byte
	return string(h.AppendEncode(room[:0], id))
}

// AppendEncode appends the instance ID of id to dst. It allocates nothing if dst has the capacity.
func (h *Hashids) AppendEncode(dst []byte, id uint64) []byte {
	var room hashidsRoom
	code := h.code(&room, id)
	dst = slices.Grow(dst, len(h.prefix)+len(code))
	dst = append(dst, h.prefix...)
	return append(dst, code...)
}

// hashidsRoom holds a code while it grows to both sides: by guard and filling up to the longest minimum, and by
// half an alphabet of the at most 93 characters of which some are cut off again.
type hashidsRoom [margin + longestNumber + margin]byte

const margin = longestMinimum + 48

// code writes the code of id into room.
func (h *Hashids) code(room *hashidsRoom, id uint64) []byte {
	sum := id % 100
	row := h.alphabets[sum%uint64(len(h.lottery))]
	first := h.lottery[sum%uint64(len(h.lottery))]

	alphabet := row[0]
	end := margin + longestNumber
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
		room[start] = h.guards[(sum+uint64(first))%uint64(len(h.guards))]
	}
	if end-start < h.minLength {
		// The algorithm takes the third character of what is there now, guard included.
		room[end] = h.guards[(sum+uint64(room[start+2]))%uint64(len(h.guards))]
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

// Decode returns the id of an instance ID that Encode gave. Any other string is an *[IDError].
func (h *Hashids) Decode(s string) (uint64, error) {
	code, ok := strings.CutPrefix(s, h.prefix)
	id, parsed := uint64(0), false
	if ok && len(code) <= max(longestNumber, h.minLength) {
		id, parsed = h.parse(code)
	}
	if parsed {
		var room hashidsRoom
		if string(h.code(&room, id)) == code {
			return id, nil
		}
	}
	return 0, &IDError{Kind: h.Kind(), Value: s}
}

// parse finds the one id whose code this could be; whether it is, the caller has to see.
func (h *Hashids) parse(code string) (id uint64, ok bool) {
	var room [max(longestNumber, longestMinimum)]byte
	if h.reversed {
		letters := room[:copy(room[:], code)]
		slices.Reverse(letters)
		return h.parseForward(letters)
	}
	return h.parseForward(room[:copy(room[:], code)])
}

func (h *Hashids) parseForward(code []byte) (id uint64, ok bool) {
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
	row := strings.IndexByte(h.lottery, code[0])
	if row < 0 {
		return 0, false
	}
	alphabet := h.alphabets[row][0]
	for _, c := range code[1:] {
		digit := strings.IndexByte(alphabet, c)
		if digit < 0 {
			return 0, false
		}
		id = id*uint64(len(alphabet)) + uint64(digit) // above MaxUint64 it wraps, to an id with another code
	}
	return id, true
}

func (h *Hashids) isGuard(c byte) bool { return strings.IndexByte(h.guards, c) >= 0 }

// codeLength is the length of the code of id. It never falls as ids grow.
func (h *Hashids) codeLength(id uint64) int {
	var room hashidsRoom
	return len(h.code(&room, id))
}
