package objectmeta_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/objectmeta"
)

// Whatever decodes encodes back to the same string, and everything else is an *IDError.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "-", "secret", "secret-", "secret-zpmsxh", "secret-yj8m30", "secret-Zpmsxh", "user-zpmsxh", "secret-0123456", "secret-zzzzzzzzzzzzz",
		"secret-0000000000000", "secret-8v6v9ezqx88rew6", "secret-\xff\xfe\xfd\xfc\xfb\xfa", "secret-zpmsxé", strings.Repeat("secret-", 20),
	} {
		f.Add(s)
	}
	codecs := codecs(f)
	codecs["Hasher from 4"] = newHasher(f, "secret", "s", objectmeta.MinLength(4))
	codecs["Hasher from 14"] = newHasher(f, "secret", "s", objectmeta.MinLength(14))
	codecs["Hashids from 0"] = newHashids(f, "secret", "s", objectmeta.MinLength(0), objectmeta.Reversed(false))
	f.Fuzz(func(t *testing.T, s string) {
		for name, codec := range codecs {
			// As it is, and as a code, which the fuzzer would have to find a prefix for.
			for _, s := range []string{s, "secret-" + s} {
				id, err := codec.Decode(s)
				if err != nil {
					var idErr *objectmeta.IDError
					if id != 0 || !errors.As(err, &idErr) || idErr.Value != s || len(err.Error()) > 1000 {
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
			"short":   newHashids(t, "k", salt, objectmeta.MinLength(0), objectmeta.Alphabet("cfhistuCFHISTUab")),
		}
		for name, codec := range codecs {
			s := string(codec.AppendEncode(nil, id))
			if got, err := codec.Decode(s); err != nil || got != id {
				t.Errorf("%s: id %d has code %q, but Decode gives %d, %v", name, id, s, got, err)
			}
		}
	})
}

// Whatever Scan accepts, Value writes in a form that Scan reads as the same again.
func FuzzExtendScan(f *testing.F) {
	for _, s := range []string{
		"", " ", "null", "{}", `{"a":1}`, `{"a":9007199254740993}`, `{"a":1e400}`, `{"a":-0}`, `{"a":{"b":[1,null,"x"]}}`, "[]", `"{}"`, `{"a":1}}`, `{"a":1} {}`,
		"{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":1,"a":2}`, "null\f", "\u00a0{}", "\v",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := objectmeta.Extend{"before": true}
		if err := e.Scan(s); err != nil {
			if len(e) != 1 {
				t.Errorf("Scan(%q) failed and changed the value to %v", s, e)
			}
			return
		}
		if !json.Valid([]byte(s)) && strings.Trim(s, " \t\r\n") != "" {
			t.Errorf("Scan(%q) takes what is not JSON", s)
		}
		first, err := e.Value()
		if err != nil {
			t.Fatalf("Scan(%q) takes what Value refuses: %v", s, err)
		}
		var again objectmeta.Extend
		if err := again.Scan(first); err != nil {
			t.Fatalf("Scan refuses what Value gives, %q: %v", first, err)
		}
		if second, err := again.Value(); err != nil || second != first {
			t.Errorf("Value gives %q, and after a Scan of that %q, %v", first, second, err)
		}
	})
}

// Whatever is a valid name is so to the letter of the rule.
func FuzzValidateName(f *testing.F) {
	for _, s := range []string{"", "a", "a-b_c.D9", ".a", "a.", strings.Repeat("a", 65), "é", "a\n"} {
		f.Add(s)
	}
	const ends = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	f.Fuzz(func(t *testing.T, s string) {
		want := s != "" && len(s) <= 64 && strings.Trim(s, ends+"-_.") == "" &&
			strings.Contains(ends, s[:1]) && strings.Contains(ends, s[len(s)-1:])
		for _, r := range s {
			want = want && strings.ContainsRune(ends+"-_.", r)
		}
		if err := objectmeta.ValidateName(s); (err == nil) != want || err != nil && !errors.Is(err, objectmeta.ErrInvalidName) {
			t.Errorf("ValidateName(%q) = %v", s, err)
		}
	})
}
