package objectmeta_test

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Any byte at any place, one byte more, one fewer, two swapped: it is refused, or it is the code
// of what it decodes to.
func TestDecodeIsStrict(t *testing.T) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for name, c := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			check := func(s string) {
				id, err := c.Decode(s)
				if err != nil {
					var e *objectmeta.IDError
					if !errors.As(err, &e) || e.Kind != "secret" || e.Value != s ||
						!errors.Is(err, objectmeta.ErrInvalidID) {
						t.Fatalf(
							"Decode(%q): %#v, want an *IDError of kind secret with the value",
							s,
							err,
						)
					}
					return
				}
				if got := string(c.AppendEncode(nil, id)); got != s {
					t.Fatalf("Decode(%q) is %d, whose code is %q", s, id, got)
				}
			}
			for _, id := range edges {
				s := string(c.AppendEncode(nil, id))
				require.Truef(t, strings.HasPrefix(s, "secret-"), "%q", s)
				got, err := c.Decode(s)
				require.NoError(t, err, s)
				require.Equal(t, id, got, s)
				code := s[len("secret-"):]
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
				for _, bad := range []string{strings.ToUpper(s), " " + s, s + " ", s + "\x00", s +
					"\n", code, "-" + code, "secret" + code, "secrets-" + code,
					"secre-" + code, "secret--" + code, "xsecret-" + code, "secret-" + s,
					"Secret-" + code, "secret\u2010" + code, s + "é"} {
					_, err := c.Decode(bad)
					require.ErrorIs(t, err, objectmeta.ErrInvalidID, "%q", bad)
				}
			}
			for _, bad := range []string{"", "-", "secret", "secret-", "\x00", strings.Repeat("a",
				1<<16), "secret-" + strings.Repeat("a", 1<<16), "secret-" + strings.Repeat("z", 13),
				"secret-" + strings.Repeat("z", 24), "secret-" + strings.Repeat("0", 25),
				"secret-" + strings.Repeat("-", 6)} {
				check(bad)
			}
			for _, bad := range []string{"", "-", "secret", "secret-",
				"secret-\xff\xff\xff\xff\xff\xff", "secret-éééé", "secret-" + strings.Repeat("a",
					1<<16)} {
				_, err := c.Decode(bad)
				require.ErrorIs(t, err, objectmeta.ErrInvalidID, "%.20q", bad)
			}
		})
	}
}

// Some implementations share the state of the block mode among callers and give wrong codes under
// load.
func TestCodecsAreSafeForConcurrentUse(t *testing.T) {
	for name, c := range codecs(t) {
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

func TestIDErrorText(t *testing.T) {
	h := newHasher(t, "secret", "s")
	tests := map[string]struct{ value, want string }{
		"plain": {
			"user-j4lz3g",
			`objectmeta: "user-j4lz3g" is not an instance ID of kind secret`,
		},
		"empty": {"", `objectmeta: "" is not an instance ID of kind secret`},
		"log forge": {
			"x\"\nlevel=error \u2028\x1b[31m",
			`objectmeta: "x\"\nlevel=error \u2028\x1b[31m" is not an instance ID of kind secret`,
		},
		"long": {
			strings.Repeat("a", 1<<20),
			`objectmeta: "` + strings.Repeat(
				"a",
				64,
			) + `"... (1048576 bytes) is not an instance ID of kind secret`,
		},
		"long and not UTF-8": {strings.Repeat("\xff", 65),
			`objectmeta: "` + strings.Repeat(
				`\xff`,
				64,
			) + `"... (65 bytes) is not an instance ID of kind secret`},
		"long and in the middle of nothing": {strings.Repeat("\x80", 65),
			`objectmeta: "` + strings.Repeat(
				`\x80`,
				60,
			) + `"... (65 bytes) is not an instance ID of kind secret`},
		"cut in the middle of a character": {"a" + strings.Repeat("é", 100),
			`objectmeta: "a` + strings.Repeat(
				`\u00e9`,
				31,
			) + `"... (201 bytes) is not an instance ID of kind secret`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := h.Decode(test.value)
			assert.EqualError(t, err, test.want)
		})
	}
	assert.False(t, errors.Is(&objectmeta.IDError{}, objectmeta.ErrInvalidName))
}

func TestErrorsAreOneShortPrintableLine(t *testing.T) {
	hostile := []string{
		"\x00",
		"\x1b[31m",
		"a\nb\rc",
		`","level":"error`,
		"\u2028",
		"\u202e",
		"\xff\xfe",
		strings.Repeat("é", 1<<19),
		"secret-" + strings.Repeat("\x00", 1<<19),
	}
	for _, s := range hostile {
		var errs []error
		_, err := objectmeta.ParseID[secretKind](s)
		errs = append(errs, err)
		for _, c := range codecs(t) {
			_, err := c.Decode(s)
			errs = append(errs, err)
		}
		var id objectmeta.ID[secretKind]
		errs = append(
			errs,
			id.Scan(s),
			id.Scan([]byte(s)),
			id.UnmarshalParam(s),
			objectmeta.ValidateName(s),
		)
		var e objectmeta.Extend
		errs = append(errs, e.Scan(s), e.Scan([]byte(s)))
		if _, err := objectmeta.NewHasher(s, []byte("s")); true {
			errs = append(errs, err)
		}
		if _, err := objectmeta.NewHashids("secret", "", objectmeta.Alphabet(s)); true {
			errs = append(errs, err)
		}
		for i, err := range errs {
			require.Error(t, err, "%d: %.30q", i, s)
			text := err.Error()
			assert.Less(t, len(text), 500, "%d: %.30q", i, s)
			assert.True(t, utf8.ValidString(text), "%d: %q", i, text)
			assert.Equal(
				t,
				-1,
				strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }),
				"%d: %q",
				i,
				text,
			)
		}
	}
}

func TestCodecAllocations(t *testing.T) {
	for name, codec := range usualCodecs(t) {
		t.Run(name, func(t *testing.T) {
			for _, id := range []uint64{23, 1000, 3_000_000_000, math.MaxUint64} {
				code := string(codec.AppendEncode(nil, id))
				dst := make([]byte, 0, len(code))
				assert.Zero(
					t,
					testing.AllocsPerRun(1000, func() { dst = codec.AppendEncode(dst[:0], id) }),
					"AppendEncode(dst, %d)",
					id,
				)
				assert.LessOrEqual(
					t,
					testing.AllocsPerRun(1000, func() { codec.AppendEncode(nil, id) }),
					1.0,
					"AppendEncode(nil, %d)",
					id,
				)
				encoder := codec.(interface{ Encode(uint64) string })
				assert.LessOrEqual(
					t,
					testing.AllocsPerRun(1000, func() { encoder.Encode(id) }),
					1.0,
					"Encode(%d)",
					id,
				)
				assert.Zero(
					t,
					testing.AllocsPerRun(1000, func() { _, _ = codec.Decode(code) }),
					"Decode(%s)",
					code,
				)
			}
		})
	}
}

func usualCodecs(tb testing.TB) map[string]objectmeta.Codec {
	all := codecs(tb)
	return map[string]objectmeta.Codec{
		"Hasher":  all["Hasher 6"],
		"Hashids": all["Hashids 6"],
		"Bridge":  all["Bridge"],
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, codec := range usualCodecs(b) {
		b.Run(name, func(b *testing.B) {
			encoder := codec.(interface{ Encode(uint64) string })
			b.ReportAllocs()
			for id := uint64(0); b.Loop(); id++ {
				encoder.Encode(id)
			}
		})
	}
}

func BenchmarkAppendEncode(b *testing.B) {
	for name, codec := range usualCodecs(b) {
		b.Run(name, func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for id := uint64(0); b.Loop(); id++ {
				dst = codec.AppendEncode(dst[:0], id)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, codec := range usualCodecs(b) {
		b.Run(name, func(b *testing.B) {
			code := string(codec.AppendEncode(nil, 7_000_000))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.Decode(code); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whatever decodes encodes back to the same string, and everything else is an *IDError.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "-", "secret", "secret-", "secret-zpmsxh", "secret-yj8m30", "secret-Zpmsxh",
		"user-zpmsxh", "secret-0123456", "secret-zzzzzzzzzzzzz",
		"secret-0000000000000", "secret-8v6v9ezqx88rew6", "secret-\xff\xfe\xfd\xfc\xfb\xfa",
		"secret-zpmsxé", strings.Repeat("secret-", 20),
	} {
		f.Add(s)
	}
	codecs := codecs(f)
	codecs["Hashids from 0, forward"] = newHashids(
		f,
		"secret",
		"s",
		objectmeta.MinLength(0),
		objectmeta.Forward(),
	)
	f.Fuzz(func(t *testing.T, s string) {
		for name, codec := range codecs {
			// As it is, and as a code, which the fuzzer would have to find a prefix for.
			for _, s := range []string{s, "secret-" + s} {
				id, err := codec.Decode(s)
				if err != nil {
					var idErr *objectmeta.IDError
					if id != 0 || !errors.As(err, &idErr) || idErr.Value != s ||
						len(err.Error()) > 1000 {
						t.Errorf("%s: Decode(%q) = %d, %v", name, s, id, err)
					}
				} else if got := string(codec.AppendEncode(nil, id)); got != s {
					t.Errorf("%s: Decode(%q) = %d, of which the code is %q", name, s, id, got)
				}
			}
		}
	})
}

// Every id has a code, and comes back from it.
func FuzzEncode(f *testing.F) {
	for _, id := range []uint64{0, 1, 23, 99, 100, 1<<32 - 1, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		f.Add(id, "salt")
	}
	f.Fuzz(func(t *testing.T, id uint64, salt string) {
		codecs := map[string]objectmeta.Codec{
			"Hasher":  newHasher(t, "k", salt+"x"),
			"Hashids": newHashids(t, "k", salt),
			"short": newHashids(
				t,
				"k",
				salt,
				objectmeta.MinLength(0),
				objectmeta.Alphabet("cfhistuCFHISTUab"),
			),
			"hyphen": newHashids(
				t,
				"k",
				salt,
				objectmeta.Alphabet("-cfhistuαβγδεζηθ"),
				objectmeta.MinLength(70),
			),
		}
		for name, codec := range codecs {
			s := string(codec.AppendEncode(nil, id))
			if got, err := codec.Decode(s); err != nil || got != id {
				t.Errorf("%s: id %d has code %q, but Decode gives %d, %v", name, id, s, got, err)
			}
		}
	})
}
