package objectmeta_test

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIDText(t *testing.T) {
	t.Run("String", func(t *testing.T) {
		assert.Equal(t, "secret-zpmsxh", secretID(1).String())
		assert.Equal(t, "user-j4lz3g", userID(40).String())
		assert.Equal(t, "other-7", objectmeta.ID[otherKind](7).String())
		assert.Equal(t, "", secretID(0).String())
	})
	t.Run("fmt", func(t *testing.T) {
		assert.Equal(
			t,
			"secret-zpmsxh secret-zpmsxh",
			fmt.Sprintf("%v %s", secretID(1), secretID(1)),
		)
		assert.Equal(t, "{user-j4lz3g}", fmt.Sprint(struct{ ID userID }{40}))
	})
	t.Run("slog", func(t *testing.T) {
		for _, handler := range []func(io.Writer) slog.Handler{
			func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
			func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		} {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("created", "id", secretID(1))
			assert.Contains(t, out.String(), "secret-zpmsxh")
		}
	})
	t.Run("MarshalText", func(t *testing.T) {
		text, err := secretID(1).MarshalText()
		assert.NoError(t, err)
		assert.Equal(t, "secret-zpmsxh", string(text))
		text, err = secretID(0).MarshalText()
		assert.NoError(t, err)
		assert.Equal(t, []byte{}, text)
	})
	t.Run("AppendText", func(t *testing.T) {
		text, err := secretID(1).AppendText([]byte("/"))
		assert.NoError(t, err)
		assert.Equal(t, "/secret-zpmsxh", string(text))
		text, err = secretID(0).AppendText([]byte("/"))
		assert.NoError(t, err)
		assert.Equal(t, "/", string(text))
	})
	t.Run("JSON", func(t *testing.T) {
		type body struct {
			ID      secretID            `json:"id"`
			Omitted secretID            `json:"omitted,omitzero"`
			Owner   *userID             `json:"owner"`
			Names   map[secretID]string `json:"names"`
			Members []userID            `json:"members"`
		}
		owner := userID(40)
		in := body{
			ID:      1,
			Owner:   &owner,
			Names:   map[secretID]string{2: "two"},
			Members: []userID{40},
		}
		data, err := json.Marshal(in)
		require.NoError(t, err)
		assert.Equal(
			t,
			`{"id":"secret-zpmsxh","owner":"user-j4lz3g","names":{"secret-tm756v":"two"},"members":["user-j4lz3g"]}`,
			string(data),
		)
		var out body
		require.NoError(t, json.Unmarshal(data, &out))
		assert.Equal(t, in, out)
	})
	t.Run("JSON of the zero ID", func(t *testing.T) {
		data, err := json.Marshal(map[string]secretID{"id": 0})
		require.NoError(t, err)
		assert.Equal(t, `{"id":""}`, string(data))
		var out map[string]secretID
		require.NoError(t, json.Unmarshal(data, &out))
		assert.Equal(t, map[string]secretID{"id": 0}, out)
	})
	t.Run("JSON refuses the integer", func(t *testing.T) {
		id := secretID(5)
		assert.Error(t, json.Unmarshal([]byte("1"), &id))
		assert.ErrorIs(t, json.Unmarshal([]byte(`"1"`), &id), objectmeta.ErrInvalidID)
		assert.ErrorIs(t, json.Unmarshal([]byte(`"user-j4lz3g"`), &id), objectmeta.ErrInvalidID)
		assert.Equal(t, secretID(5), id, "unchanged")
	})
	t.Run("XML", func(t *testing.T) {
		type element struct {
			ID secretID `xml:"id,attr"`
		}
		data, err := xml.Marshal(element{1})
		require.NoError(t, err)
		assert.Equal(t, `<element id="secret-zpmsxh"></element>`, string(data))
		var out element
		require.NoError(t, xml.Unmarshal(data, &out))
		assert.Equal(t, element{1}, out)
	})
	t.Run("URL", func(t *testing.T) {
		query := url.Values{"id": {secretID(1).String()}}.Encode()
		assert.Equal(t, "id=secret-zpmsxh", query)
	})
	t.Run("flag", func(t *testing.T) {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		var id, unset secretID
		flags.TextVar(&id, "id", secretID(2), "")
		flags.TextVar(&unset, "unset", secretID(0), "")
		assert.Equal(t, "secret-tm756v", flags.Lookup("id").DefValue)
		require.NoError(t, flags.Parse([]string{"-id", "secret-zpmsxh"}))
		assert.Equal(t, secretID(1), id)
		assert.Zero(t, unset)
		assert.ErrorContains(
			t,
			flags.Parse([]string{"-id", "1"}),
			`objectmeta: "1" is not an instance ID of kind secret`,
		)
	})
	t.Run("UnmarshalParam", func(t *testing.T) {
		var id secretID
		assert.NoError(t, id.UnmarshalParam("secret-zpmsxh"))
		assert.Equal(t, secretID(1), id)
		assert.ErrorIs(t, id.UnmarshalParam("1"), objectmeta.ErrInvalidID)
	})
}

// However deep the ID lies in what is written: the integer does not show.
func TestIDShowsItsIntegerNowhere(t *testing.T) {
	const id = objectmeta.ID[secretKind](123456789)
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	for _, v := range []any{id, new(id), []objectmeta.ID[secretKind]{id},
		map[objectmeta.ID[secretKind]]bool{id: true}, struct{ ID any }{id},
		objectmeta.Extend{"id": id}} {
		require.NoError(t, encoder.Encode(v))
	}
	fmt.Fprint(
		&out,
		id,
		new(id),
		[]any{id},
		map[any]any{id: id},
		struct{ ID any }{id},
		fmt.Errorf("no %v", id),
	)
	slog.New(slog.NewJSONHandler(&out, nil)).
		Info("m", "id", id, "in", struct{ ID any }{id}, "group", slog.GroupValue(slog.Any("id",
			id)))
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "id", id, "in", struct{ ID any }{id})
	assert.NotContains(t, out.String(), "123456789")
	assert.Equal(t, 18, strings.Count(out.String(), id.String()), out.String())
}

func TestIDIsZero(t *testing.T) {
	assert.True(t, secretID(0).IsZero())
	assert.False(t, secretID(1).IsZero())
}

func TestParseID(t *testing.T) {
	id, err := objectmeta.ParseID[secretKind]("secret-zpmsxh")
	assert.NoError(t, err)
	assert.Equal(t, secretID(1), id)

	tests := map[string]string{
		"empty":         "",
		"integer":       "1",
		"other kind":    "user-j4lz3g",
		"upper case":    "SECRET-ZPMSXH",
		"code of no ID": "secret-7xkk4k", // of 0, which no row has
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) {
			id, err := objectmeta.ParseID[secretKind](s)
			assert.Zero(t, id)
			require.ErrorIs(t, err, objectmeta.ErrInvalidID)
			var idErr *objectmeta.IDError
			require.ErrorAs(t, err, &idErr)
			assert.Equal(t, objectmeta.IDError{Kind: "secret", Value: s}, *idErr)
		})
	}
	require.Equal(t, "secret-7xkk4k", secretIDs.Encode(0))
}

// The codec has codes for all of uint64, but no way in takes one for an object's that no row can
// have: 0, and what database/sql refuses.
func TestIDNeverTakesACodeThatNoRowHas(t *testing.T) {
	for _, n := range []uint64{0, math.MaxInt64 + 1, math.MaxUint64} {
		code := secretIDs.Encode(n)
		decoded, err := secretIDs.Decode(code)
		require.NoError(t, err)
		require.Equal(t, n, decoded)

		id := objectmeta.ID[secretKind](5)
		_, err = objectmeta.ParseID[secretKind](code)
		require.ErrorIs(t, err, objectmeta.ErrInvalidID)
		require.ErrorIs(t, id.UnmarshalText([]byte(code)), objectmeta.ErrInvalidID)
		require.ErrorIs(t, id.UnmarshalParam(code), objectmeta.ErrInvalidID)
		require.ErrorIs(t, json.Unmarshal([]byte(`"`+code+`"`), &id), objectmeta.ErrInvalidID)
		var keys map[objectmeta.ID[secretKind]]bool
		require.ErrorIs(t, json.Unmarshal([]byte(`{"`+code+`":true}`), &keys), objectmeta.ErrInvalidID)
		require.Error(t, json.Unmarshal([]byte(`{"5":true}`), &keys), "nor an integer as a key")
		require.EqualValues(t, 5, id, "after an error")
	}
	last, err := objectmeta.ParseID[secretKind](secretIDs.Encode(math.MaxInt64))
	require.NoError(t, err)
	require.EqualValues(t, math.MaxInt64, last)
}

func TestKindWithoutCodec(t *testing.T) {
	t.Run("nil", testWithoutCodec[noKind])
	t.Run("nil *Hasher", testWithoutCodec[nilHasher])
	t.Run("nil *Hashids", testWithoutCodec[nilHashids])
	t.Run("empty", func(t *testing.T) {
		for _, id := range []fmt.Stringer{objectmeta.ID[emptyHasher](5), objectmeta.ID[emptyHashids](5)} {
			_, err := json.Marshal(id)
			assert.ErrorContains(t, err, "returned an empty *objectmeta.Hash")
			assert.Panics(t, func() { _ = id.String() })
		}
		_, err := objectmeta.ParseID[emptyHasher]("x-abcdef")
		assert.ErrorContains(t, err, "objectmeta_test.emptyHasher.InstanceIDs returned an empty *objectmeta.Hasher: build")
		assert.NotErrorIs(t, err, objectmeta.ErrInvalidID)
	})
}

type emptyHasher struct{}

func (emptyHasher) InstanceIDs() objectmeta.Codec { return &objectmeta.Hasher{} }

type emptyHashids struct{}

func (emptyHashids) InstanceIDs() objectmeta.Codec { return &objectmeta.Hashids{} }

func testWithoutCodec[K objectmeta.Kind](t *testing.T) {
	var kind K
	want := fmt.Sprintf(
		"objectmeta: %T.InstanceIDs returned nil: build the Codec, by NewHasher for example, before IDs are written or read",
		kind,
	)
	id := objectmeta.ID[K](1)

	assert.PanicsWithValue(t, want, func() { _ = id.String() })
	_, err := id.MarshalText()
	assert.EqualError(t, err, want)
	_, err = id.AppendText(nil)
	assert.EqualError(t, err, want)
	_, err = objectmeta.ParseID[K]("secret-zpmsxh")
	assert.EqualError(t, err, want)
	assert.NotErrorIs(t, err, objectmeta.ErrInvalidID, "the server's fault, not the client's")
	assert.EqualError(t, id.UnmarshalText([]byte("secret-zpmsxh")), want)
	assert.Equal(t, objectmeta.ID[K](1), id)

	// What needs none works.
	assert.Equal(t, "", objectmeta.ID[K](0).String())
	value, err := id.Value()
	assert.NoError(t, err)
	assert.Equal(t, int64(1), value)
	assert.NoError(t, id.Scan(int64(2)))
}

func TestIDValue(t *testing.T) {
	tests := map[string]struct {
		id   secretID
		want driver.Value
	}{
		"zero":     {0, int64(0)},
		"one":      {1, int64(1)},
		"greatest": {math.MaxInt64, int64(math.MaxInt64)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.id.Value()
			assert.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
	t.Run("too great", func(t *testing.T) {
		_, err := secretID(math.MaxInt64 + 1).Value()
		assert.EqualError(
			t,
			err,
			"objectmeta: ID 9223372036854775808: database/sql takes integers up to 9223372036854775807 only",
		)
	})
}

func TestIDScan(t *testing.T) {
	tests := map[string]struct {
		src  any
		want secretID
	}{
		"NULL":     {nil, 0},
		"int64":    {int64(23), 23},
		"zero":     {int64(0), 0},
		"uint64":   {uint64(math.MaxUint64), math.MaxUint64},
		"bytes":    {[]byte("23"), 23},
		"string":   {"18446744073709551615", math.MaxUint64},
		"greatest": {int64(math.MaxInt64), math.MaxInt64},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			id := secretID(99)
			assert.NoError(t, id.Scan(test.src))
			assert.Equal(t, test.want, id)
		})
	}
	errors := map[string]struct {
		src  any
		want string
	}{
		"negative": {int64(-1), "column value -1 is not an ID: must not be negative"},
		"instance ID": {
			"secret-zpmsxh",
			`column value "secret-zpmsxh" is not an ID: must be an integer from 0 to 18446744073709551615`,
		},
		"too great": {[]byte("18446744073709551616"), `column value "18446744073709551616"`},
		"sign":      {"+1", `column value "+1"`},
		"no digits": {"", `column value ""`},
		"float":     {1.0, "column value of type float64 is not an ID: must be an integer"},
		"bool":      {true, "column value of type bool"},
	}
	for name, test := range errors {
		t.Run(name, func(t *testing.T) {
			id := secretID(99)
			assert.ErrorContains(t, id.Scan(test.src), "objectmeta: "+test.want)
			assert.Equal(t, secretID(99), id, "unchanged")
		})
	}
}

func TestIDAllocations(t *testing.T) {
	id := secretID(23)
	room := make([]byte, 0, 64)
	text := id.String()
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _ = id.String() }), 1.0, "String")
	assert.LessOrEqual(
		t,
		testing.AllocsPerRun(1000, func() { _, _ = id.MarshalText() }),
		1.0,
		"MarshalText",
	)
	assert.Zero(
		t,
		testing.AllocsPerRun(1000, func() { _, _ = id.AppendText(room[:0]) }),
		"AppendText",
	)
	assert.Zero(
		t,
		testing.AllocsPerRun(1000, func() { _, _ = objectmeta.ParseID[secretKind](text) }),
		"ParseID",
	)
}

func BenchmarkIDString(b *testing.B) {
	b.ReportAllocs()
	for id := secretID(1); b.Loop(); id++ {
		_ = id.String()
	}
}

func BenchmarkParseID(b *testing.B) {
	s := secretID(23).String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := objectmeta.ParseID[secretKind](s); err != nil {
			b.Fatal(err)
		}
	}
}

var (
	_ encoding.TextMarshaler   = secretID(0)
	_ encoding.TextAppender    = secretID(0)
	_ encoding.TextUnmarshaler = (*secretID)(nil)
	_ driver.Valuer            = secretID(0)
	_ sql.Scanner              = (*secretID)(nil)
	_ driver.Valuer            = objectmeta.Extend{}
	_ sql.Scanner              = (*objectmeta.Extend)(nil)
)

// An optional reference: nil is NULL and null, and the zero ID is neither.
func TestOptionalID(t *testing.T) {
	type row struct {
		Pointer *secretID
		Null    sql.Null[secretID]
	}
	empty, set := row{}, row{new(secretID), sql.Null[secretID]{V: 1, Valid: true}}
	*set.Pointer = 1

	value, err := empty.Null.Value()
	require.NoError(t, err)
	assert.Nil(t, value)
	value, err = set.Null.Value()
	require.NoError(t, err)
	assert.Equal(t, int64(1), value)
	var scanned sql.Null[secretID]
	require.NoError(t, scanned.Scan(int64(23)))
	assert.Equal(t, sql.Null[secretID]{V: 23, Valid: true}, scanned)
	require.NoError(t, scanned.Scan(nil))
	assert.False(t, scanned.Valid)

	value, err = driver.DefaultParameterConverter.ConvertValue(empty.Pointer)
	require.NoError(t, err)
	assert.Nil(t, value)
	value, err = driver.DefaultParameterConverter.ConvertValue(set.Pointer)
	require.NoError(t, err)
	assert.Equal(t, int64(1), value)

	data, err := json.Marshal([]*secretID{empty.Pointer, set.Pointer})
	require.NoError(t, err)
	assert.Equal(t, `[null,"secret-zpmsxh"]`, string(data))
}
