package objectmeta_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gracekit/gracekit/objectmeta"
)

// PolicyKind names the kind of Policy and finds its codec.
type PolicyKind struct{}

func (PolicyKind) InstanceIDs() objectmeta.Codec { return policyIDs }

// In a program main sets this from its configuration, before it serves anything, and ends on an
// error.
var policyIDs = must(
	objectmeta.NewHasher("policy", []byte("32 random bytes from your configuration")),
)

func must[T any](t T, err error) T {
	if err != nil {
		panic(err)
	}
	return t
}

// Policy is what the service stores.
type Policy struct {
	objectmeta.ObjectMeta[PolicyKind] `json:"metadata"`
	Effect                            string `json:"effect"`
}

// A struct with metadata, on its way from the database to a client.
func Example() {
	policy := Policy{Effect: "allow"}
	policy.ID = 59 // as the database assigned it
	policy.Name = "readers"
	policy.Extend = objectmeta.Extend{"team": "infra"}

	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(policy); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {
	//   "metadata": {
	//     "instanceID": "policy-y4yx04",
	//     "name": "readers",
	//     "extend": {
	//       "team": "infra"
	//     }
	//   },
	//   "effect": "allow"
	// }
}

// What stands in a URL, on its way to the database. Whatever a client may send, the answer is an
// ID or one error.
func ExampleParseID() {
	for _, s := range []string{"policy-y4yx04", "policy-59", "user-j4lz3g"} {
		id, err := objectmeta.ParseID[PolicyKind](s)
		if errors.Is(err, objectmeta.ErrInvalidID) {
			fmt.Println("404:", err)
			continue
		} else if err != nil {
			fmt.Println("500:", err) // PolicyKind has no codec
			continue
		}
		// Now look it up, and check that the caller may see it.
		fmt.Println("SELECT … WHERE id =", uint64(id))
	}
	// Output:
	// SELECT … WHERE id = 59
	// 404: objectmeta: "policy-59" is not an instance ID of kind policy
	// 404: objectmeta: "user-j4lz3g" is not an instance ID of kind policy
}

// Neighbours look unrelated, and the code is as short as a code can be.
func ExampleNewHasher() {
	hasher, err := objectmeta.NewHasher("secret", []byte("x20k5x")) // yours should be random
	if err != nil {
		fmt.Println(err)
		return
	}
	for id := range uint64(4) {
		fmt.Println(id, hasher.Encode(id))
	}
	// Output:
	// 0 secret-7xkk4k
	// 1 secret-zpmsxh
	// 2 secret-tm756v
	// 3 secret-6hovlb
}

// A check when the service starts: with another secret, or another kind, every code that clients
// hold would name another object. The code of one key, kept beside the secret, tells.
func ExampleHasher_Encode() {
	const knownKey, knownCode = 1, "secret-zpmsxh" // from the configuration, like the secret
	for _, secret := range []string{"x20k5x", "x20k5x\n"} {
		hasher, err := objectmeta.NewHasher("secret", []byte(secret))
		if err != nil {
			fmt.Println(err)
			return
		}
		if got := hasher.Encode(knownKey); got != knownCode {
			fmt.Printf(
				"the secret is not the one that it was: %d is %s, not %s\n",
				knownKey,
				got,
				knownCode,
			)
			continue
		}
		fmt.Println("the secret is the one that it was")
	}
	// Output:
	// the secret is the one that it was
	// the secret is not the one that it was: 1 is secret-qmbww1, not secret-zpmsxh
}

// The codes that iam has stored.
func ExampleNewHashids() {
	hashids, err := objectmeta.NewHashids("secret", "x20k5x")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hashids.Encode(23))
	fmt.Println(hashids.Decode("secret-yj8m30"))
	// Output:
	// secret-yj8m30
	// 23 <nil>
}

// Old rows keep their codes, new rows get better ones.
func ExampleNewBridge() {
	legacy, err := objectmeta.NewHashids("secret", "x20k5x")
	if err != nil {
		fmt.Println(err)
		return
	}
	next, err := objectmeta.NewHasher("secret", []byte("new secret"), objectmeta.MinLength(7))
	if err != nil {
		fmt.Println(err)
		return
	}
	codec, err := objectmeta.NewBridge(legacy, 7_962_623, next)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", codec.AppendEncode(nil, 23))
	fmt.Printf("%s\n", codec.AppendEncode(nil, 7_962_623))
	fmt.Printf("%s\n", codec.AppendEncode(nil, 7_962_624))
	// Output:
	// secret-yj8m30
	// secret-88888m
	// secret-0nnz7p2
}

// A client may send what it likes.
func ExampleObjectMeta_ClearServerFields() {
	body := `{"metadata":{"instanceID":"` + policyIDs.Encode(
		1,
	) + `","name":"mine","createdAt":"1999-01-01T00:00:00Z"},"effect":"allow"}`
	var policy Policy
	if err := json.NewDecoder(strings.NewReader(body)).Decode(&policy); err != nil {
		fmt.Println(err)
		return
	}
	policy.ClearServerFields()
	if err := objectmeta.ValidateName(policy.Name); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(policy.ID.IsZero(), policy.CreatedAt.IsZero(), policy.Name)
	// Output: true true mine
}

// Values come out with the type that they are wanted in, or not at all.
func ExampleGet() {
	var extend objectmeta.Extend
	if err := extend.Scan(`{"quota": 9007199254740993, "regions": ["eu", "us"]}`); err != nil {
		fmt.Println(err)
		return
	}
	quota, ok := objectmeta.Get[int64](extend, "quota")
	fmt.Println(quota, ok)
	regions, ok := objectmeta.Get[[]string](extend, "regions")
	fmt.Println(regions, ok)
	_, ok = objectmeta.Get[int64](extend, "regions")
	fmt.Println(ok)
	// Output:
	// 9007199254740993 true
	// [eu us] true
	// false
}

// A change to some keys leaves the others.
func ExampleExtend_Merge() {
	stored := objectmeta.Extend{"team": "infra", "tier": "free"}
	change := objectmeta.Extend{"tier": "paid"}
	fmt.Println(stored.Merge(change))
	// Output: map[team:infra tier:paid]
}

// The pitfall: an integer in a map is an integer in JSON. Keep the type of the ID.
func ExampleID_incorrect() {
	id := objectmeta.ID[PolicyKind](59)
	for _, fields := range []map[string]any{
		{"policy": uint64(id)}, // wrong
		{"policy": id},
	} {
		text, err := json.Marshal(fields)
		fmt.Println(string(text), err)
	}
	// Output:
	// {"policy":59} <nil>
	// {"policy":"policy-y4yx04"} <nil>
}

// Pagination by key: the client sends the last instance ID that it has seen.
func ExampleKeyset_Page() {
	for _, query := range []string{`{}`, `{"after":"policy-y4yx04","limit":10}`} {
		// gin and echo bind it from ?after=policy-y4yx04&limit=10.
		var keyset objectmeta.Keyset[PolicyKind]
		if err := json.Unmarshal([]byte(query), &keyset); err != nil {
			fmt.Println("400:", err)
			return
		}
		after, limit, err := keyset.Page(20, 100)
		if err != nil {
			fmt.Println("400:", err)
			return
		}
		fmt.Printf("SELECT … WHERE id > %d ORDER BY id LIMIT %d\n", after, limit)
	}
	// Output:
	// SELECT … WHERE id > 0 ORDER BY id LIMIT 20
	// SELECT … WHERE id > 59 ORDER BY id LIMIT 10
}

// A list endpoint: whatever a client asks for, a page has at most 100 objects.
func ExampleListOptions_Page() {
	limit := int64(1_000_000)
	options := objectmeta.ListOptions{Limit: &limit} // from the query of a URL
	offset, most, err := options.Page(20, 100)
	if err != nil {
		fmt.Println("400:", err)
		return
	}
	fmt.Printf("SELECT … LIMIT %d OFFSET %d\n", most, offset)
	// Output: SELECT … LIMIT 100 OFFSET 0
}
