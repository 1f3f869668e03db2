package rules_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"

	"github.com/gracekit/gracekit/shutdown/gracevet/internal/rules"
)

const mistake = `package p

import (
	"os"
	"os/signal"
)

func f(c chan os.Signal) { signal.Notify(c, os.Interrupt, os.Kill) }
`

// The rules need whole types, so none sets RunDespiteErrors, and drivers leave out packages that do
// not type-check. The package without the error shows that the rules would find something.
func TestBroken(t *testing.T) {
	for name, test := range map[string]struct {
		more    string
		skipped bool
	}{
		"whole":  {"", false},
		"broken": {"func g() { errs := make(chan missing); errs <- nothing() }\n", true},
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{"go.mod": "module p\n", "p.go": mistake + test.more} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		pkgs, err := packages.Load(&packages.Config{Mode: packages.LoadAllSyntax, Dir: dir}, ".")
		if err != nil {
			t.Fatal(err)
		}
		graph, err := checker.Analyze(rules.All(), pkgs, nil)
		if err != nil {
			t.Fatal(err)
		}
		findings := 0
		for _, action := range graph.Roots {
			findings += len(action.Diagnostics)
			if action.Analyzer.RunDespiteErrors {
				t.Errorf("%s sets RunDespiteErrors", action.Analyzer.Name)
			}
			if skipped := action.Err != nil; skipped != test.skipped {
				t.Errorf("%s, %s: %v", name, action.Analyzer.Name, action.Err)
			}
		}
		if found := findings > 0; found == test.skipped {
			t.Errorf("%s: %d findings", name, findings)
		}
	}
}
