package jsonx_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

// testdata/contract.tsv is written, to be read and then committed, by the reference build:
//
//	go test ./jsonx -run TestContract -update    # Go 1.26, no tag
var update = flag.Bool("update", false, "write testdata/contract.tsv")

const (
	contractFile    = "testdata/contract.tsv"
	divergencesFile = "testdata/divergences.txt"
)

// A divergence is a row of the table in the package documentation: a behaviour in which some builds
// differ from encoding/json of Go 1.26.
type divergence struct {
	title    string
	builds   []string // v2, v2exp, jsoniter
	want     string   // what encoding/json of Go 1.26 does
	instead  string   // what these builds do
	outcomes map[string]string
}

// applies reports whether the row is about the build that is being tested.
func (d divergence) applies() bool {
	return slices.ContainsFunc(d.builds, func(build string) bool {
		return build == implementation || build == "jsoniter" && jsonx.Engine == "github.com/json-iterator/go" ||
			build == "jsoniter/v1" && implementation == "v1" && jsonx.Engine == "github.com/json-iterator/go"
	})
}

// readDivergences reads the rows. Each is a line "== title", the lines "builds:", "instead of:" and "does:",
// and then a line for each probe with its name, a tab and its outcome.
func readDivergences(t *testing.T) []divergence {
	t.Helper()
	data, err := os.ReadFile(divergencesFile)
	if err != nil {
		t.Fatal(err)
	}
	var rows []divergence
	for l := range strings.Lines(string(data)) {
		l = strings.TrimSuffix(l, "\n")
		if title, ok := strings.CutPrefix(l, "== "); ok {
			rows = append(rows, divergence{title: title, outcomes: map[string]string{}})
			continue
		}
		if l == "" || len(rows) == 0 {
			continue // between rows, and the explanation at the top
		}
		row := &rows[len(rows)-1]
		if name, outcome, ok := strings.Cut(l, "\t"); ok {
			row.outcomes[name] = outcome
			continue
		}
		key, value, _ := strings.Cut(l, ": ")
		switch key {
		case "builds":
			row.builds = strings.Fields(value)
		case "instead of":
			row.want = value
		case "does":
			row.instead = value
		default:
			t.Fatalf("%s: unexpected line %q", divergencesFile, l)
		}
	}
	return rows
}

func readContract(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(contractFile)
	if err != nil {
		t.Fatal(err)
	}
	contract := map[string]string{}
	for l := range strings.Lines(string(data)) {
		name, outcome, ok := strings.Cut(strings.TrimSuffix(l, "\n"), "\t")
		if !ok {
			t.Fatalf("%s: line %q: want a name, a tab and an outcome", contractFile, l)
		}
		contract[name] = outcome
	}
	return contract
}

func writeContract(t *testing.T, names []string, got map[string]string) {
	t.Helper()
	if implementation != "v1" || jsonx.Engine != "encoding/json" {
		t.Fatal("-update: want Go 1.26 and no build tag, whose behaviour is the contract")
	}
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s\t%s\n", name, got[name])
	}
	if err := os.WriteFile(contractFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkContract wants every outcome to be that of the contract or that of a row for this build, which is then still true.
func checkContract(t *testing.T, names []string, got map[string]string) {
	t.Helper()
	contract := readContract(t)
	rowOf := map[string]divergence{}
	for _, row := range readDivergences(t) {
		for name, outcome := range row.outcomes {
			if _, ok := contract[name]; !ok {
				t.Errorf("row %q: no probe %q", row.title, name)
			}
			if !row.applies() {
				continue
			}
			if other, ok := rowOf[name]; ok && other.outcomes[name] != outcome {
				t.Errorf("probe %q is in two rows: %q and %q", name, row.title, other.title)
			}
			rowOf[name] = row
		}
	}
	for name := range contract {
		if _, ok := got[name]; !ok {
			t.Errorf("%s: no probe %q any more", contractFile, name)
		}
	}
	for _, name := range names {
		want, ok := contract[name]
		row, diverges := rowOf[name]
		switch {
		case !ok:
			t.Errorf("%s is not in %s; got %s", name, contractFile, got[name])
		case diverges && got[name] == want:
			t.Errorf("%s: the row %q is no longer true: got what encoding/json of Go 1.26 gives, %s", name, row.title, want)
		case diverges && got[name] != row.outcomes[name]:
			t.Errorf("%s (row %q)\n got %s\nwant %s", name, row.title, got[name], row.outcomes[name])
		case !diverges && got[name] != want:
			t.Errorf("%s\n got\t%s\nwant\t%s", name, got[name], want)
		}
	}
}
