package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/rs/xid"

	"github.com/gracekit/gracekit/objectmeta"
)

// The figures of github.com/speps/go-hashids, which the module proxy does not have. They were taken
// on the machine, and in the hours, in which the package was designed.
const (
	goHashidsPrebuilt = 780   // ns, with a HashID that is built once
	iamGetInstanceID  = 5_900 // ns, a call of iam's GetInstanceID, which builds it each time
	recorded          = "a figure recorded elsewhere, not measured here"
)

func objectmetaScenarios(context.Context, config, io.Writer) ([]scenario, error) {
	hasher, err := objectmeta.NewHasher("secret", []byte("a secret of 32 bytes for the test"))
	if err != nil {
		return nil, err
	}
	hashids, err := objectmeta.NewHashids("secret", "x20k5x")
	if err != nil {
		return nil, err
	}
	return []scenario{
		{name: "make an ID", unit: nanoseconds, contestants: makeIDs(hasher, hashids)},
		{name: "read an ID", unit: nanoseconds, contestants: readIDs(hasher, hashids)},
	}, nil
}

// The key of a row is at hand for the codecs; for the others there is nothing to compute from.
func makeIDs(hasher *objectmeta.Hasher, hashids *objectmeta.Hashids) []contestant {
	const stored = "needs a column and an index"
	var key uint64
	nextKey := func() uint64 { key = key%1_000_000 + 1; return key }
	var buffer []byte
	makers := []struct {
		name, module, note string
		next               func() string
	}{
		{"gracekit Hasher.Encode", gracekit, "", func() string { return hasher.Encode(nextKey()) }},
		{"gracekit Hashids.Encode", gracekit, "", func() string { return hashids.Encode(nextKey()) }},
		{"xid", "github.com/rs/xid", stored, func() string { return xid.New().String() }},
		{"ulid", "github.com/oklog/ulid/v2", stored, func() string { return ulid.Make().String() }},
		{"uuid, version 4", "github.com/google/uuid", stored, uuid.NewString},
		{"uuid, version 7", "github.com/google/uuid", stored, func() string { return uuid.Must(uuid.NewV7()).String() }},
	}
	contestants := []contestant{{
		name: "gracekit Hasher.AppendEncode", module: gracekit, note: "into a buffer that is used again",
		op: func() error {
			buffer = hasher.AppendEncode(buffer[:0], nextKey())
			return nil
		},
		check: func() error {
			if got, want := string(hasher.AppendEncode(nil, 23)), hasher.Encode(23); got != want {
				return fmt.Errorf("got %q, want %q", got, want)
			}
			return nil
		},
	}}
	for _, m := range makers {
		note := "such as " + m.next()
		if m.note != "" {
			note += ", " + m.note
		}
		contestants = append(contestants, contestant{
			name: m.name, module: m.module, note: note,
			op: func() error {
				if m.next() == "" {
					return errors.New("got no ID")
				}
				return nil
			},
			check: func() error { return allDiffer(m.next) },
			lacks: func() []string {
				ids := make([]string, 100)
				for i := range ids {
					ids[i] = m.next()
				}
				if slices.IsSorted(ids) {
					return []string{"hiding the order"} // for some it is a feature
				}
				return nil
			},
		})
	}
	return append(contestants,
		contestant{name: "go-hashids, built once", module: "github.com/speps/go-hashids", figure: goHashidsPrebuilt, note: recorded},
		contestant{name: "iam GetInstanceID", module: "github.com/speps/go-hashids", figure: iamGetInstanceID, note: recorded},
	)
}

func allDiffer(next func() string) error {
	const n = 10_000
	seen := make(map[string]bool, n)
	for range n {
		id := next()
		if seen[id] {
			return fmt.Errorf("got %q twice", id)
		}
		seen[id] = true
	}
	return nil
}

func readIDs(hasher *objectmeta.Hasher, hashids *objectmeta.Hashids) (contestants []contestant) {
	const key = 123_456
	code, legacy := hasher.Encode(key), hashids.Encode(key)
	xidText, ulidText, uuidText := xid.New().String(), ulid.Make().String(), uuid.NewString()
	for _, r := range []struct {
		name, module, id string
		parse            func(string) (string, error) // the check of what was read; it writes it again
		op               func() error
	}{
		{"gracekit Hasher.Decode", gracekit, code, func(s string) (string, error) {
			id, err := hasher.Decode(s)
			return hasher.Encode(id), err
		}, reading(hasher.Decode, code)},
		{"gracekit Hashids.Decode", gracekit, legacy, func(s string) (string, error) {
			id, err := hashids.Decode(s)
			return hashids.Encode(id), err
		}, reading(hashids.Decode, legacy)},
		{"xid", "github.com/rs/xid", xidText, func(s string) (string, error) {
			id, err := xid.FromString(s)
			return id.String(), err
		}, reading(xid.FromString, xidText)},
		{"ulid", "github.com/oklog/ulid/v2", ulidText, func(s string) (string, error) {
			id, err := ulid.ParseStrict(s)
			return id.String(), err
		}, reading(ulid.ParseStrict, ulidText)},
		{"uuid", "github.com/google/uuid", uuidText, func(s string) (string, error) {
			id, err := uuid.Parse(s)
			return id.String(), err
		}, reading(uuid.Parse, uuidText)},
	} {
		contestants = append(contestants, contestant{
			name: r.name, module: r.module, op: r.op,
			check: func() error {
				if again, err := r.parse(r.id); err != nil || again != r.id {
					return fmt.Errorf("%q comes back as %q, %w", r.id, again, err)
				}
				return nil
			},
			lacks: func() []string {
				if _, err := r.parse(r.id + "!"); err == nil {
					return []string{"strictness"}
				}
				return nil
			},
		})
	}
	return contestants
}

// reading keeps what it has read, so that the compiler leaves none of the work out.
func reading[ID any](parse func(string) (ID, error), s string) func() error {
	kept := new(ID)
	return func() (err error) {
		*kept, err = parse(s)
		return err
	}
}
