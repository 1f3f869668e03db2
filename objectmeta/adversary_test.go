package objectmeta_test

import (
	"crypto/aes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/objectmeta"
)

// The names and signatures that users build on.
var (
	_ func(string, []byte, ...objectmeta.Option) (*objectmeta.Hasher, error)          = objectmeta.NewHasher
	_ func(string, string, ...objectmeta.Option) (*objectmeta.Hashids, error)         = objectmeta.NewHashids
	_ func(*objectmeta.Hashids, uint64, *objectmeta.Hasher) (objectmeta.Codec, error) = objectmeta.NewBridge
	_ func(string) (objectmeta.ID[widgetKind], error)                                 = objectmeta.ParseID[widgetKind]
	_ func(objectmeta.Extend, string) (int, bool)                                     = objectmeta.Get[int]
	_ func(objectmeta.Extend, objectmeta.Extend) objectmeta.Extend                    = objectmeta.Extend.Merge
	_ func(*objectmeta.ObjectMeta[widgetKind])                                        = (*objectmeta.ObjectMeta[widgetKind]).ClearServerFields
	_ func(string) error                                                              = objectmeta.ValidateName
	_ objectmeta.Codec                                                                = (*objectmeta.Hasher)(nil)
	_ objectmeta.Codec                                                                = (*objectmeta.Hashids)(nil)
	_ map[string]any                                                                  = objectmeta.Extend(nil)
	_                                                                                 = objectmeta.ListOptions{Offset: new(int64), Limit: new(int64)}
	_                                                                                 = objectmeta.List[int]{ListMeta: objectmeta.ListMeta{TotalCount: int64(1)}, Items: []int{}}
	_ func(int) objectmeta.Option                                                     = objectmeta.MinLength
	_ func(string) objectmeta.Option                                                  = objectmeta.Alphabet
)

// widgetKind exists for these tests alone, so that no other test changes its codec.
type widgetKind struct{}

func (widgetKind) InstanceIDs() objectmeta.Codec { return widgetIDs() }

var widgetIDs = sync.OnceValue(func() objectmeta.Codec {
	h, err := objectmeta.NewHasher("widget", []byte("adversary"))
	if err != nil {
		panic(err)
	}
	return h
})

func TestAdversaryTags(t *testing.T) {
	want := map[string]string{
		"ID":        `json:"instanceID,omitzero" gorm:"column:id;primaryKey;autoIncrement"`,
		"Name":      `json:"name,omitempty" gorm:"column:name;type:varchar(64);not null"`,
		"Extend":    `json:"extend,omitempty" gorm:"column:extendShadow;type:text"`,
		"CreatedAt": `json:"createdAt,omitzero" gorm:"column:createdAt"`,
		"UpdatedAt": `json:"updatedAt,omitzero" gorm:"column:updatedAt"`,
	}
	got := map[string]string{}
	for f := range reflect.TypeFor[objectmeta.ObjectMeta[widgetKind]]().Fields() {
		got[f.Name] = string(f.Tag)
	}
	assert.Equal(t, want, got)
}

// ff1Reference follows the steps of NIST SP 800-38G, algorithm 7, to the letter, with big integers and no regard
// for speed. It shares nothing with the implementation but the standard.
func ff1Reference(t *testing.T, key []byte, radix int, tweak, X []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	num := func(x []byte) *big.Int {
		n := new(big.Int)
		for _, d := range x {
			n.Mul(n, big.NewInt(int64(radix))).Add(n, big.NewInt(int64(d)))
		}
		return n
	}
	str := func(n *big.Int, m int) []byte {
		s, n, r := make([]byte, m), new(big.Int).Set(n), new(big.Int)
		for i := m - 1; i >= 0; i-- {
			n.DivMod(n, big.NewInt(int64(radix)), r)
			s[i] = byte(r.Int64())
		}
		return s
	}
	n, tl := len(X), len(tweak)
	u := n / 2
	v := n - u
	A, B := X[:u], X[u:]
	top := new(big.Int).Exp(big.NewInt(int64(radix)), big.NewInt(int64(v)), nil)
	b := (new(big.Int).Sub(top, big.NewInt(1)).BitLen() + 7) / 8
	d := 4*((b+3)/4) + 4
	P := []byte{1, 2, 1, byte(radix >> 16), byte(radix >> 8), byte(radix), 10, byte(u),
		byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), byte(tl >> 24), byte(tl >> 16), byte(tl >> 8), byte(tl)}
	for i := range 10 {
		Q := append([]byte{}, tweak...)
		for (len(Q)+b+1)%16 != 0 {
			Q = append(Q, 0)
		}
		Q = append(Q, byte(i))
		Q = append(Q, num(B).FillBytes(make([]byte, b))...)
		R := make([]byte, 16)
		for m := append(append([]byte{}, P...), Q...); len(m) > 0; m = m[16:] {
			for j := range R {
				R[j] ^= m[j]
			}
			block.Encrypt(R, R)
		}
		S := append([]byte{}, R...)
		for j := 1; len(S) < d; j++ {
			x := append([]byte{}, R...)
			for k := range 4 {
				x[15-k] ^= byte(j >> (8 * k))
			}
			block.Encrypt(x, x)
			S = append(S, x...)
		}
		m := u
		if i%2 == 1 {
			m = v
		}
		c := new(big.Int).Add(num(A), new(big.Int).SetBytes(S[:d]))
		c.Mod(c, new(big.Int).Exp(big.NewInt(int64(radix)), big.NewInt(int64(m)), nil))
		A, B = B, str(c, m)
	}
	return append(append([]byte{}, A...), B...)
}

// The published vectors have six digits and more; here is every MinLength, kinds of every length, against the standard.
func TestAdversaryHasherIsFF1(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for minLength := 4; minLength <= 24; minLength++ {
		for kindLength := 1; kindLength <= 63; kindLength += 1 + rng.IntN(9) {
			kind := strings.Repeat("k", kindLength)
			secret := fmt.Sprint("secret ", rng.Uint64())
			h, err := objectmeta.NewHasher(kind, []byte(secret), objectmeta.MinLength(minLength))
			require.NoError(t, err)
			for _, id := range []uint64{0, 1, rng.Uint64() >> rng.IntN(64), rng.Uint64() >> rng.IntN(64), math.MaxInt64, math.MaxUint64} {
				n, offset, size := minLength, new(big.Int), new(big.Int)
				for {
					size.Exp(big.NewInt(36), big.NewInt(int64(n)), nil)
					if end := new(big.Int).Add(offset, size); new(big.Int).SetUint64(id).Cmp(end) < 0 {
						break
					}
					offset.Add(offset, size)
					n++
				}
				rest := new(big.Int).Sub(new(big.Int).SetUint64(id), offset)
				got := h.Encode(id)
				require.Equal(t, referenceCode(t, kind, secret, rest, n), got, "kind of %d characters, MinLength %d, id %d", kindLength, minLength, id)
				back, err := h.Decode(got)
				require.NoError(t, err)
				require.Equal(t, id, back)
			}
		}
	}
}

// referenceCode is the instance ID that has the number x, encrypted, as its n digits.
func referenceCode(t *testing.T, kind, secret string, x *big.Int, n int) string {
	t.Helper()
	key := sha256.Sum256([]byte(secret))
	numerals, rest, digit := make([]byte, n), new(big.Int).Set(x), new(big.Int)
	for i := n - 1; i >= 0; i-- {
		rest.DivMod(rest, big.NewInt(36), digit)
		numerals[i] = byte(digit.Int64())
	}
	code := kind + "-"
	for _, d := range ff1Reference(t, key[:16], 36, []byte(kind), numerals) {
		code += string("0123456789abcdefghijklmnopqrstuvwxyz"[d])
	}
	return code
}

// The last number that an id can be, and the next ones, exactly at each place where the sum could wrap.
func TestAdversaryEndOfUint64(t *testing.T) {
	for _, minLength := range []int{6, 12, 13, 14, 20, 24} {
		h, err := objectmeta.NewHasher("pod", []byte("s"), objectmeta.MinLength(minLength))
		require.NoError(t, err)
		n, end := max(minLength, 13), new(big.Int).Lsh(big.NewInt(1), 64)
		for shorter := minLength; shorter < n; shorter++ { // the tiers before that of MaxUint64
			end.Sub(end, new(big.Int).Exp(big.NewInt(36), big.NewInt(int64(shorter)), nil))
		}
		last := referenceCode(t, "pod", "s", new(big.Int).Sub(end, big.NewInt(1)), n)
		require.Equal(t, h.Encode(math.MaxUint64), last)
		id, err := h.Decode(last)
		require.NoError(t, err)
		require.Equal(t, uint64(math.MaxUint64), id)

		all := new(big.Int).Exp(big.NewInt(36), big.NewInt(int64(n)), nil)
		for _, x := range []*big.Int{end, new(big.Int).Add(end, big.NewInt(1)), new(big.Int).Lsh(big.NewInt(1), 64),
			new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 64), big.NewInt(7)), new(big.Int).Sub(all, big.NewInt(1))} {
			_, err := h.Decode(referenceCode(t, "pod", "s", x, n))
			require.ErrorIs(t, err, objectmeta.ErrInvalidID, "MinLength(%d), number %v", minLength, x)
		}
	}
}

func adversaryCodecs(t *testing.T) map[string]objectmeta.Codec {
	t.Helper()
	codecs := map[string]objectmeta.Codec{}
	add := func(name string, c objectmeta.Codec, err error) {
		require.NoError(t, err, name)
		codecs[name] = c
	}
	for _, n := range []int{4, 6, 12, 13, 14, 24} {
		h, err := objectmeta.NewHasher("pod", []byte("s"), objectmeta.MinLength(n))
		add(fmt.Sprint("Hasher ", n), h, err)
	}
	for _, n := range []int{0, 1, 6, 20, 64} {
		h, err := objectmeta.NewHashids("pod", "x20k5x", objectmeta.MinLength(n))
		add(fmt.Sprint("Hashids ", n), h, err)
	}
	forward, err := objectmeta.NewHashids("pod", "", objectmeta.Reversed(false), objectmeta.Alphabet("ABCDEFGHIJKLMNOPqrstuvw!\"\\'%"))
	add("Hashids forward, odd characters", forward, err)
	legacy, err := objectmeta.NewHashids("pod", "x20k5x")
	require.NoError(t, err)
	next, err := objectmeta.NewHasher("pod", []byte("s"), objectmeta.MinLength(7))
	require.NoError(t, err)
	bridge, err := objectmeta.NewBridge(legacy, 7962623, next)
	add("Bridge", bridge, err)
	return codecs
}

var adversaryIDs = []uint64{0, 1, 2, 35, 36, 7962622, 7962623, 7962624, 2176782335, 2176782336, 1<<53 + 1, math.MaxInt64, math.MaxInt64 + 1,
	math.MaxUint64 - 1, math.MaxUint64}

// Any byte at any place, one byte more, one fewer, two swapped: it is refused, or it is the code of what it decodes to.
func TestAdversaryDecodeIsStrict(t *testing.T) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for name, c := range adversaryCodecs(t) {
		t.Run(name, func(t *testing.T) {
			check := func(s string) {
				id, err := c.Decode(s)
				if err != nil {
					var e *objectmeta.IDError
					if !errors.As(err, &e) || e.Kind != "pod" || e.Value != s || !errors.Is(err, objectmeta.ErrInvalidID) {
						t.Fatalf("Decode(%q): %#v, want an *IDError of kind pod with the value", s, err)
					}
					return
				}
				if got := string(c.AppendEncode(nil, id)); got != s {
					t.Fatalf("Decode(%q) is %d, whose code is %q", s, id, got)
				}
			}
			for _, id := range adversaryIDs {
				s := string(c.AppendEncode(nil, id))
				require.Truef(t, strings.HasPrefix(s, "pod-"), "%q", s)
				got, err := c.Decode(s)
				require.NoError(t, err, s)
				require.Equal(t, id, got, s)
				bytes := []byte{0, ' ', '-', '0', 'A', 'a', 'z', 0xff}
				if id == 1 || id == 2176782336 || id == math.MaxUint64 {
					bytes = everyByte
				}
				for i := range s {
					for _, b := range bytes {
						check(s[:i] + string([]byte{b}) + s[i+1:])
					}
					check(s[:i] + s[i+1:])
					check(s[:i] + s[i:i+1] + s[i:])
					check(s[:i])
					check(s[i:])
					if i > 0 {
						check(s[:i-1] + s[i:i+1] + s[i-1:i] + s[i+1:])
					}
				}
				for _, bad := range []string{strings.ToUpper(s), " " + s, s + " ", s + "\x00", s + "\n", s[4:], "-" + s[4:], "pod" + s[4:], "pods-" + s[4:],
					"po-" + s[4:], "pod--" + s[4:], "xpod-" + s[4:], "pod-" + s, "Pod-" + s[4:], "pod\u2010" + s[4:], s + "é"} {
					_, err := c.Decode(bad)
					require.ErrorIs(t, err, objectmeta.ErrInvalidID, "%q", bad)
				}
			}
			for _, bad := range []string{"", "-", "pod", "pod-", "\x00", strings.Repeat("a", 1<<16), "pod-" + strings.Repeat("a", 1<<16), "pod-" + strings.Repeat("z", 13),
				"pod-" + strings.Repeat("z", 24), "pod-" + strings.Repeat("0", 25), "pod-" + strings.Repeat("-", 6)} {
				check(bad)
			}
			for _, bad := range []string{"", "-", "pod", "pod-", "pod-\xff\xff\xff\xff\xff\xff", "pod-éééé", "pod-" + strings.Repeat("a", 1<<16)} {
				_, err := c.Decode(bad)
				require.ErrorIs(t, err, objectmeta.ErrInvalidID, "%.20q", bad)
			}
		})
	}
}

func TestAdversaryOneCodecManyGoroutines(t *testing.T) {
	for name, c := range adversaryCodecs(t) {
		t.Run(name, func(t *testing.T) {
			const n = 300
			want := make([]string, n)
			id := func(i int) uint64 { return uint64(i) * 0x9E3779B97F4A7C15 >> (i % 64) }
			for i := range want {
				want[i] = string(c.AppendEncode(nil, id(i)))
			}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for i, w := range want {
						if got := string(c.AppendEncode(nil, id(i))); got != w {
							t.Errorf("id %d: got %s, want %s", id(i), got, w)
						}
						if got, err := c.Decode(w); err != nil || got != id(i) {
							t.Errorf("%s: got %d, %v, want %d", w, got, err, id(i))
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestAdversaryBridge(t *testing.T) {
	newLegacy := func(opts ...objectmeta.Option) *objectmeta.Hashids {
		h, err := objectmeta.NewHashids("pod", "x20k5x", opts...)
		require.NoError(t, err)
		return h
	}
	newNext := func(n int) *objectmeta.Hasher {
		h, err := objectmeta.NewHasher("pod", []byte("s"), objectmeta.MinLength(n))
		require.NoError(t, err)
		return h
	}
	t.Run("every last id with the shortest Hasher that fits", func(t *testing.T) {
		for _, last := range []uint64{0, 1, 7962623, 7962624, 1 << 40, math.MaxInt64, math.MaxUint64 - 1, math.MaxUint64} {
			legacy := newLegacy()
			n := len(legacy.Encode(last)) - len("pod-")
			for short := max(4, n-2); short <= n; short++ {
				_, err := objectmeta.NewBridge(legacy, last, newNext(short))
				require.Error(t, err, "last %d of %d characters, Hasher from %d", last, n, short)
			}
			next := newNext(n + 1)
			b, err := objectmeta.NewBridge(legacy, last, next)
			require.NoError(t, err)
			assert.Equal(t, "pod", b.Kind())
			for _, id := range append([]uint64{last - 1, last, last + 1, last + 2}, adversaryIDs...) {
				want, other := next.Encode(id), legacy.Encode(id)
				if id <= last {
					want, other = other, want
				}
				require.Equal(t, want, string(b.AppendEncode(nil, id)), id)
				require.Equal(t, want, b.(interface{ Encode(uint64) string }).Encode(id), "what ID.String takes")
				got, err := b.Decode(want)
				require.NoError(t, err, want)
				require.Equal(t, id, got)
				// Never for this id; the legacy code of a later id can be the code that next has for another one.
				if stranger, err := b.Decode(other); err == nil {
					require.NotEqual(t, id, stranger)
					require.Equal(t, other, string(b.AppendEncode(nil, stranger)), "last %d, id %d", last, id)
				}
			}
		}
	})
	t.Run("kinds differ", func(t *testing.T) {
		next, err := objectmeta.NewHasher("user", []byte("s"), objectmeta.MinLength(7))
		require.NoError(t, err)
		_, err = objectmeta.NewBridge(newLegacy(), 100, next)
		require.Error(t, err)
		assert.Contains(t, err.Error(), "user")
		assert.Contains(t, err.Error(), "pod")
	})
	t.Run("nil parts", func(t *testing.T) {
		_, err := objectmeta.NewBridge(nil, 1, newNext(7))
		assert.Error(t, err)
		_, err = objectmeta.NewBridge(newLegacy(), 1, nil)
		assert.Error(t, err)
	})
	t.Run("the error says which MinLength to take", func(t *testing.T) {
		_, err := objectmeta.NewBridge(newLegacy(), 7962624, newNext(7))
		require.Error(t, err)
		assert.Contains(t, err.Error(), "MinLength(8)")
	})
}

func TestAdversaryHostileStringsInErrors(t *testing.T) {
	hostile := []string{"\x00", "\x1b[31m", "a\nb\rc", `","level":"error`, "\u2028", "\u202e", "\xff\xfe", strings.Repeat("é", 1<<19), "widget-" + strings.Repeat("\x00", 1<<19)}
	for _, s := range hostile {
		var errs []error
		_, err := objectmeta.ParseID[widgetKind](s)
		errs = append(errs, err)
		for _, c := range adversaryCodecs(t) {
			_, err := c.Decode(s)
			errs = append(errs, err)
		}
		var id objectmeta.ID[widgetKind]
		errs = append(errs, id.Scan(s), id.Scan([]byte(s)), id.UnmarshalParam(s), objectmeta.ValidateName(s))
		var e objectmeta.Extend
		errs = append(errs, e.Scan(s), e.Scan([]byte(s)))
		if _, err := objectmeta.NewHasher(s, []byte("s")); true {
			errs = append(errs, err)
		}
		if _, err := objectmeta.NewHashids("pod", "", objectmeta.Alphabet(s)); true {
			errs = append(errs, err)
		}
		for i, err := range errs {
			require.Error(t, err, "%d: %.30q", i, s)
			text := err.Error()
			assert.Less(t, len(text), 500, "%d: %.30q", i, s)
			assert.True(t, utf8.ValidString(text), "%d: %q", i, text)
			assert.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%d: %q", i, text)
		}
	}
}

func TestAdversarySecretIsShownNowhere(t *testing.T) {
	h, err := objectmeta.NewHasher("pod", []byte("hunter2"))
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", h, h, h), "hunter2")
	_, err = objectmeta.NewHasher("Bad", []byte("hunter2"))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
}

// However deep the ID lies in what is written: the integer does not show.
func TestAdversaryIntegerShowsNowhere(t *testing.T) {
	const id = objectmeta.ID[widgetKind](123456789)
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	for _, v := range []any{id, new(id), []objectmeta.ID[widgetKind]{id}, map[objectmeta.ID[widgetKind]]bool{id: true}, struct{ ID any }{id},
		objectmeta.Extend{"id": id}} {
		require.NoError(t, encoder.Encode(v))
	}
	fmt.Fprint(&out, id, new(id), []any{id}, map[any]any{id: id}, struct{ ID any }{id}, fmt.Errorf("no %v", id))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "id", id, "in", struct{ ID any }{id}, "group", slog.GroupValue(slog.Any("id", id)))
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "id", id, "in", struct{ ID any }{id})
	assert.NotContains(t, out.String(), "123456789")
	assert.Equal(t, 18, strings.Count(out.String(), id.String()), out.String())
}

// The codec has a code for 0, since the vectors and Bridge count from there, but no way in takes it for an object's.
func TestAdversaryCodeOfZero(t *testing.T) {
	code := string(widgetIDs().AppendEncode(nil, 0))
	zero, err := widgetIDs().Decode(code)
	require.NoError(t, err)
	require.Zero(t, zero)

	id := objectmeta.ID[widgetKind](5)
	_, err = objectmeta.ParseID[widgetKind](code)
	require.ErrorIs(t, err, objectmeta.ErrInvalidID)
	require.ErrorIs(t, id.UnmarshalText([]byte(code)), objectmeta.ErrInvalidID)
	require.ErrorIs(t, id.UnmarshalParam(code), objectmeta.ErrInvalidID)
	require.ErrorIs(t, json.Unmarshal([]byte(`"`+code+`"`), &id), objectmeta.ErrInvalidID)
	var keys map[objectmeta.ID[widgetKind]]bool
	require.ErrorIs(t, json.Unmarshal([]byte(`{"`+code+`":true}`), &keys), objectmeta.ErrInvalidID)
	require.Error(t, json.Unmarshal([]byte(`{"5":true}`), &keys), "nor an integer as a key")
	require.EqualValues(t, 5, id, "after an error")
}

func TestAdversaryExtendThatJSONRefuses(t *testing.T) {
	cycle := objectmeta.Extend{}
	cycle["self"] = cycle
	for name, v := range map[string]any{"NaN in depth": []any{map[string]any{"x": math.NaN()}}, "half a JSON text": json.RawMessage("{"), "cycle": cycle} {
		e := objectmeta.Extend{"ok": 1, "v": v}
		got, err := e.Value()
		assert.Error(t, err, name)
		assert.Nil(t, got, name)
		_, err = json.Marshal(objectmeta.ObjectMeta[widgetKind]{Extend: e})
		assert.Error(t, err, name)
	}
}
