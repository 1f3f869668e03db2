package reqid_test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

func TestNewIsAlsoATraceID(t *testing.T) {
	id := reqid.New()
	assert.Regexp(t, hexID, id)
	assert.True(t, reqid.Valid(id))
	trace, err := reqid.ParseTraceParent("00-" + id + "-00f067aa0ba902b7-01")
	require.NoError(t, err)
	assert.Equal(t, id, trace.TraceID())
}

func TestNewIsNeverAllZero(t *testing.T) {
	real := rand.Reader
	t.Cleanup(func() { rand.Reader = real })
	rand.Reader = io.MultiReader(bytes.NewReader(make([]byte, 32)),
		strings.NewReader("0123456789abcdef"))
	assert.Equal(t, hex.EncodeToString([]byte("0123456789abcdef")), reqid.New())
}

func TestNewHasNoDuplicates(t *testing.T) {
	total := 10_000_000
	if testing.Short() || raceEnabled {
		total = 500_000
	}
	type id struct{ high, low uint64 }
	ids := make([]id, total)
	const goroutines = 32
	var wg sync.WaitGroup
	for part := range slices.Chunk(ids, total/goroutines+1) {
		wg.Go(func() {
			var raw [16]byte
			for i := range part {
				if n, err := hex.Decode(raw[:], []byte(reqid.New())); n != len(raw) || err != nil {
					t.Errorf("got %d bytes and %v, want 16 bytes in hexadecimal", n, err)
					return
				}
				part[i] = id{binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])}
			}
		})
	}
	wg.Wait()
	slices.SortFunc(ids, func(a, b id) int {
		return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low))
	})
	require.NotZero(t, ids[0], "an ID is all zero, or was not made")
	assert.Len(t, slices.Compact(ids), total, "got duplicates")
}

var validTests = []struct {
	name, id string
	want     bool
}{
	{"empty", "", false},
	{"one byte", "a", true},
	{"128 bytes", strings.Repeat("a", 128), true},
	{"129 bytes", strings.Repeat("a", 129), false},
	{"every character", "AZaz09._:/+=@-", true},
	{"UUID", "123e4567-e89b-12d3-a456-426614174000", true},
	{"AWS load balancer", "Root=1-67891233-abcdef012345678912345678", true},
	{"base64", "q83vEjRWeJA/+w==", true},
	{"space", "a b", false},
	{"comma", "a,b", false},
	{"quote", `a"b`, false},
	{"backslash", `a\b`, false},
	{"semicolon", "a;b", false},
	{"before dash", "a,b", false},
	{"angle", "a<b", false},
	{"JSON injection", `","level":"error`, false},
	{"CR LF", "a\r\nb", false},
	{"line feed at the end", "a\n", false},
	{"NUL", "a\x00", false},
	{"delete", "a\x7f", false},
	{"escape", "\x1b[31m", false},
	{"U+2028", "a\u2028b", false},
	{"letter outside ASCII", "é", false},
	{"invalid UTF-8", "a\xff", false},
	{"brackets of the ASCII table", "[", false},
	{"backtick", "`", false},
	{"brace", "{", false},
}

func TestValid(t *testing.T) {
	for _, tt := range validTests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, reqid.Valid(tt.id))
		})
	}
	for b := range 256 {
		c := string([]byte{byte(b)})
		want := strings.Contains("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/+=@-", c)
		assert.Equal(t, want, reqid.Valid(c), "%q", c)
		assert.Equal(t, want, reqid.Valid("a"+c+"a"), "%q", c)
	}
}

func FuzzValid(f *testing.F) {
	for _, tt := range validTests {
		f.Add(tt.id)
	}
	want := regexp.MustCompile(`\A[A-Za-z0-9._:/+=@-]{1,128}\z`)
	f.Fuzz(func(t *testing.T, id string) {
		if got, want := reqid.Valid(id), want.MatchString(id); got != want {
			t.Errorf("Valid(%q): got %v, want %v", id, got, want)
		}
	})
}
