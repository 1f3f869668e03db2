package rules_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/gracekit/gracekit/shutdown/gracevet/internal/rules"
)

// Each rule is tried on the packages in testdata whose names begin with its own. One analyzer runs
// them all, because loading net/http takes longer than everything else.
func TestRules(t *testing.T) {
	all := rules.All()
	var packages []string
	for _, a := range all {
		dirs, err := filepath.Glob(filepath.Join("testdata", "src", a.Name+"*"))
		if err != nil || len(dirs) == 0 {
			t.Fatalf("no package in testdata/src for %s (%v)", a.Name, err)
		}
		for _, dir := range dirs {
			packages = append(packages, filepath.Base(dir))
		}
	}
	each := &analysis.Analyzer{
		Name:     "each",
		Doc:      "run the rule that the package is for",
		Requires: all[len(all)-1].Requires,
		Run: func(p *analysis.Pass) (any, error) {
			for _, a := range all {
				if strings.HasPrefix(p.Pkg.Path(), a.Name) {
					if _, err := a.Run(p); err != nil {
						return nil, err
					}
				}
			}
			return nil, nil
		},
	}
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), each, packages...)
}

func TestValid(t *testing.T) {
	if err := analysis.Validate(rules.All()); err != nil {
		t.Error(err)
	}
}

// The doc of a rule shows the mistake, how to mend it, and where the rule comes from.
func TestDocs(t *testing.T) {
	for _, a := range rules.All()[1:] {
		for _, part := range []string{"\n\nWrong:\n", "\n\nRight", "\n\nSource: https://"} {
			if !strings.Contains(a.Doc, part) {
				t.Errorf("the doc of %s has no %q", a.Name, part)
			}
		}
		for line := range strings.Lines(a.Doc) {
			if len(line) > 101 {
				t.Errorf("the doc of %s has a long line: %s", a.Name, line)
			}
		}
	}
}

// The README lists the rules in the order in which they are defined.
func TestReadme(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## What it finds")
	table, _, _ = strings.Cut(table, "\n## ")
	var listed, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+)`").FindAllStringSubmatch(table, -1) {
		listed = append(listed, row[1])
	}
	for _, a := range rules.All()[1:] {
		want = append(want, a.Name)
	}
	if !slices.Equal(listed, want) {
		t.Errorf("the README lists\n%v, want\n%v", listed, want)
	}
}
