package jsonx_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

// TestContract compares what this build does with what encoding/json of Go 1.26 does.
func TestContract(t *testing.T) {
	got := map[string]string{}
	var names []string
	add := func(name string, run func() string) {
		name = line(name)
		if _, ok := got[name]; ok {
			t.Fatalf("two probes named %q", name)
		}
		names = append(names, name)
		got[name] = line(describePanic(run))
	}
	probes, documents := allProbes(), readCorpus(t)
	for _, p := range probes {
		add(p.name, p.run)
	}
	for _, doc := range documents {
		add("document/"+doc.name, func() string { return doc.verdict(t) })
	}
	for _, p := range probes {
		if strings.HasPrefix(got[line(p.name)], "NOT JSON") {
			t.Errorf("%s: %s", p.name, got[line(p.name)])
		}
	}
	if *update {
		writeContract(t, names, got)
	}
	checkContract(t, names, got)
}

// verdict is what the ways into jsonx make of one document: they agree on whether it is JSON.
func (c document) verdict(t *testing.T) string {
	var v, streamed any
	err := jsonx.Unmarshal(c.data, &v)
	if valid := jsonx.Valid(c.data); valid != (err == nil) {
		if _, ok := errors.AsType[*jsonx.SyntaxError](err); ok || valid == false {
			t.Errorf("%s: Valid = %v, but Unmarshal: %v", c.name, valid, err)
		}
	}
	dec := jsonx.NewDecoder(bytes.NewReader(c.data))
	streamErr := dec.Decode(&streamed)
	if err == nil && (streamErr != nil || !reflect.DeepEqual(v, streamed)) {
		t.Errorf(
			"%s: Decode = %v, %v, want what Unmarshal gives: %v",
			c.name,
			streamed,
			streamErr,
			v,
		)
	}
	var raw jsonx.RawMessage
	if rawErr := jsonx.Unmarshal(c.data, &raw); (rawErr == nil) != jsonx.Valid(c.data) {
		t.Errorf("%s: Unmarshal into a RawMessage = %v", c.name, rawErr)
	}
	if err != nil {
		return "reject " + describe(err)
	}
	value := dump(reflect.ValueOf(&v).Elem())
	if len(value) > 200 {
		value = fmt.Sprintf("%s… (%d bytes)", value[:200], len(value))
	}
	return "accept " + value
}

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
	failures []failure // tests of encoding/json that fail because of it
}

// A failure names tests of encoding/json in a Go release, and the builds in which they fail.
type failure struct {
	release string
	builds  []string
	tests   []string
}

// applies reports whether the row is about the build that is being tested.
func (d divergence) applies() bool {
	return slices.ContainsFunc(d.builds, func(build string) bool {
		return build == implementation ||
			build == "jsoniter" && jsonx.Engine == "github.com/json-iterator/go" ||
			build == "jsoniter/v1" && implementation == "v1" &&
				jsonx.Engine == "github.com/json-iterator/go"
	})
}

// readDivergences reads the rows. Each is a line "== title", the lines "builds:", "instead of:"
// and "does:", and then a line for each probe with its name, a tab and its outcome. Lines such as
// "go1.26 fails in v2 v2exp: TestX TestY/case" name the tests of encoding/json that fail.
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
		if release, builds, ok := strings.Cut(key, " fails in "); ok {
			row.failures = append(row.failures,
				failure{release, strings.Fields(builds), expandRanges(strings.Fields(value))})
			continue
		}
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

// expandRanges makes TestX/#01, TestX/#02 and TestX/#07 of TestX/#01-02,07.
func expandRanges(tests []string) (all []string) {
	for _, test := range tests {
		name, ranges, ok := strings.Cut(test, "/#")
		if !ok {
			all = append(all, test)
			continue
		}
		for part := range strings.SplitSeq(ranges, ",") {
			first, last, ok := strings.Cut(part, "-")
			if !ok {
				last = first
			}
			from, _ := strconv.Atoi(first)
			to, _ := strconv.Atoi(last)
			for n := from; n <= to; n++ {
				all = append(all, fmt.Sprintf("%s/#%02d", name, n))
			}
		}
	}
	return all
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

// checkContract wants every outcome to be that of the contract or that of a row for this build,
// which is then still true.
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
			t.Errorf(
				"%s: the row %q is no longer true: got what encoding/json of Go 1.26 gives, %s",
				name,
				row.title,
				want,
			)
		case diverges && got[name] != row.outcomes[name]:
			t.Errorf(
				"%s (row %q)\n got %s\nwant %s",
				name,
				row.title,
				got[name],
				row.outcomes[name],
			)
		case !diverges && got[name] != want:
			t.Errorf("%s\n got\t%s\nwant\t%s", name, got[name], want)
		}
	}
}
