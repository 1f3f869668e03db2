// Command api compares what the packages export with the list in .ci/api.txt, so that a change of
// it is seen in review, and looks whether all of it is documented.
//
//	go run -C .ci/check ./api          # fails, and prints what differs
//	go run -C .ci/check ./api -accept  # writes the list anew
package main

import (
	"cmp"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

const (
	root   = "../.."
	golden = "../api.txt"
	module = "github.com/gracekit/gracekit/"
)

// A build is one of those whose API may differ. What is not exported in all of them is listed with
// their names.
type build struct{ goos, goarch, tags string }

func (b build) String() string { return strings.TrimSuffix(b.goos+"+"+b.tags, "+") }

var builds = []build{
	{"linux", "amd64", ""},
	{"linux", "amd64", "jsoniter"},
	{"darwin", "arm64", ""},
	{"windows", "amd64", ""},
	{"freebsd", "amd64", ""},
	{"js", "wasm", ""},
}

func main() {
	log.SetFlags(0)
	accept := flag.Bool("accept", false, "write the list anew")
	flag.Parse()
	if err := run(*accept); err != nil {
		log.Fatal("api: ", err)
	}
}

func run(accept bool) error {
	now, err := exports()
	if err != nil {
		return err
	}
	if accept {
		return os.WriteFile(golden, []byte(strings.Join(now, "\n")+"\n"), 0o644)
	}
	content, err := os.ReadFile(golden)
	if err != nil {
		return err
	}
	recorded := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if !slices.Equal(now, recorded) {
		for _, line := range difference(recorded, now) {
			fmt.Println(line)
		}
		return fmt.Errorf("the exported API is not that of .ci/api.txt; if it should change: go run -C .ci/check ./api -accept")
	}
	problems, err := documentation()
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		return fmt.Errorf("the documentation falls short:\n%s", strings.Join(problems, "\n"))
	}
	fmt.Printf("%d exported symbols, as recorded, and documented\n", len(now))
	return nil
}

// difference of two sorted lists.
func difference(old, now []string) (lines []string) {
	for _, line := range old {
		if !slices.Contains(now, line) {
			lines = append(lines, "- "+line)
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			lines = append(lines, "+ "+line)
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int { return cmp.Compare(a[2:], b[2:]) }) // what changed stands together
	return lines
}

// exports lists the symbols of all packages, each with the builds that have it unless all do.
func exports() ([]string, error) {
	in := make(map[string][]string)
	for _, b := range builds {
		lines, err := b.exports()
		if err != nil {
			return nil, fmt.Errorf("%v: %w", b, err)
		}
		for _, line := range lines {
			in[line] = append(in[line], b.String())
		}
	}
	lines := slices.Sorted(maps.Keys(in))
	for i, line := range lines {
		if names := in[line]; len(names) < len(builds) {
			lines[i] += " // " + strings.Join(names, ", ")
		}
	}
	return lines, nil
}

func (b build) exports() (lines []string, err error) {
	loaded, err := packages.Load(&packages.Config{
		Mode:       packages.NeedName | packages.NeedTypes | packages.NeedSyntax | packages.NeedImports,
		Dir:        root,
		Env:        append(plainEnv(), "CGO_ENABLED=0", "GOOS="+b.goos, "GOARCH="+b.goarch),
		BuildFlags: []string{"-tags=" + b.tags},
	}, "./...")
	if err != nil {
		return nil, err
	}
	for _, p := range loaded {
		for _, problem := range p.Errors {
			return nil, problem
		}
		if isInternal(p.PkgPath) {
			continue
		}
		for _, symbol := range symbols(p.Types) {
			lines = append(lines, strings.TrimPrefix(p.PkgPath, module)+": "+symbol)
		}
	}
	return lines, nil
}

// isInternal reports whether only this module can import the package.
func isInternal(path string) bool { return strings.HasPrefix(path, module+"internal/") }
