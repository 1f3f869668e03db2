package objectmeta_test

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The kinds of these tests.
type (
	secretKind struct{}
	userKind   struct{}
	otherKind  struct{} // its codec is none of the package's
	noKind     struct{} // has no codec
	nilHasher  struct{}
	nilHashids struct{}
)

var (
	secretIDs = must(objectmeta.NewHasher("secret", []byte("x20k5x")))
	userIDs   = must(objectmeta.NewHashids("user", "x20k5x"))
)

func (secretKind) InstanceIDs() objectmeta.Codec { return secretIDs }
func (userKind) InstanceIDs() objectmeta.Codec   { return userIDs }
func (otherKind) InstanceIDs() objectmeta.Codec  { return plainCodec{} }
func (noKind) InstanceIDs() objectmeta.Codec     { return nil }
func (nilHasher) InstanceIDs() objectmeta.Codec  { return (*objectmeta.Hasher)(nil) }
func (nilHashids) InstanceIDs() objectmeta.Codec { return (*objectmeta.Hashids)(nil) }

// plainCodec is one that a user may write.
type plainCodec struct{}

func (plainCodec) Kind() string { return "other" }

func (plainCodec) AppendEncode(dst []byte, id uint64) []byte {
	return fmt.Appendf(dst, "other-%d", id)
}

func (plainCodec) Decode(s string) (id uint64, err error) {
	if _, err := fmt.Sscanf(s, "other-%d", &id); err != nil || s != fmt.Sprintf("other-%d", id) {
		return 0, &objectmeta.IDError{Kind: "other", Value: s}
	}
	return id, nil
}

type (
	secretID = objectmeta.ID[secretKind]
	userID   = objectmeta.ID[userKind]
)

func newHasher(tb testing.TB, kind, secret string, opts ...objectmeta.Option) *objectmeta.Hasher {
	tb.Helper()
	h, err := objectmeta.NewHasher(kind, []byte(secret), opts...)
	require.NoError(tb, err)
	return h
}

func newHashids(tb testing.TB, kind, salt string, opts ...objectmeta.Option) *objectmeta.Hashids {
	tb.Helper()
	h, err := objectmeta.NewHashids(kind, salt, opts...)
	require.NoError(tb, err)
	return h
}

// codecs are Codecs of the kind secret, with each kind of length, alphabet and direction.
func codecs(tb testing.TB) map[string]objectmeta.Codec {
	tb.Helper()
	codecs := map[string]objectmeta.Codec{}
	add := func(name string, c objectmeta.Codec, err error) {
		require.NoError(tb, err, name)
		codecs[name] = c
	}
	for _, n := range []int{4, 6, 12, 13, 14, 24} {
		h, err := objectmeta.NewHasher("secret", []byte("s"), objectmeta.MinLength(n))
		add(fmt.Sprint("Hasher ", n), h, err)
	}
	for _, n := range []int{0, 1, 6, 20, 64, 65, 300} {
		h, err := objectmeta.NewHashids("secret", "x20k5x", objectmeta.MinLength(n))
		add(fmt.Sprint("Hashids ", n), h, err)
	}
	forward, err := objectmeta.NewHashids("secret", "", objectmeta.Forward(),
		objectmeta.Alphabet("ABCDEFGHIJKLMNOPqrstuvw!\"\\'%"))
	add("Hashids forward, odd characters", forward, err)
	hyphen, err := objectmeta.NewHashids(
		"secret",
		"x20k5x",
		objectmeta.Alphabet("abcdefghijklmnopqrst-"),
	)
	add("Hashids with a hyphen", hyphen, err)
	greek, err := objectmeta.NewHashids(
		"secret",
		"x20k5x",
		objectmeta.Alphabet("αβγδεζηθικλμνξοπρστυφχψω"),
	)
	add("Hashids in Greek", greek, err)
	legacy, err := objectmeta.NewHashids("secret", "x20k5x")
	require.NoError(tb, err)
	next, err := objectmeta.NewHasher("secret", []byte("s"), objectmeta.MinLength(7))
	require.NoError(tb, err)
	bridge, err := objectmeta.NewBridge(legacy, 7962623, next)
	add("Bridge", bridge, err)
	return codecs
}

// edges are the ids at which a code gets longer or an integer type ends.
var edges = []uint64{
	0,
	1,
	2,
	35,
	36,
	7962622,
	7962623,
	7962624,
	2176782335,
	2176782336,
	1<<53 + 1,
	math.MaxInt64,
	math.MaxInt64 + 1,
	math.MaxUint64 - 1,
	math.MaxUint64,
}

func assertRefused(t *testing.T, codec objectmeta.Codec, s string) {
	t.Helper()
	id, err := codec.Decode(s)
	assert.Zero(t, id)
	require.ErrorIs(t, err, objectmeta.ErrInvalidID)
	var idErr *objectmeta.IDError
	require.ErrorAs(t, err, &idErr)
	assert.Equal(t, objectmeta.IDError{Kind: codec.Kind(), Value: s}, *idErr)
}

// vectors reads the rows of a tab-separated file in testdata.
func vectors(tb testing.TB, file string, columns, wantRows int) [][]string {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + file)
	require.NoError(tb, err)
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(tb, row, columns, "%s: %q", file, line)
		rows = append(rows, row)
	}
	require.Len(tb, rows, wantRows, file)
	return rows
}

func pad(x uint64, radix, n int) string {
	s := strconv.FormatUint(x, radix)
	return strings.Repeat("0", n-len(s)) + s
}

// raceDetector reports whether the test runs with -race.
func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func reverse(s string) string {
	var b strings.Builder
	for i := len(s) - 1; i >= 0; i-- {
		b.WriteByte(s[i])
	}
	return b.String()
}
