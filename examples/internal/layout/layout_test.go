// Package layout holds the repository to its rules: what stands at the top level, and what each
// package may import. It belongs to the examples module, because the root module's top level has no
// place for a test.
package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root   = "../../.."
	module = "github.com/gracekit/gracekit"
)

func TestTopLevel(t *testing.T) {
	allowed := []string{
		"signals", "shutdown", "health", "concurrent", "objectmeta", "jsonx", "reqid",
		"internal", "examples", "go.mod", "go.sum", "LICENSE", "README.md", "README.zh-CN.md",
		"ARCHITECTURE.md", "COMPARISON.md", "COMPARISON.zh-CN.md",
		"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
	}
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			assert.Contains(t, allowed, e.Name(), "at the top level")
		}
	}
}

func TestDirectRequirements(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(goCommand(t, root, "mod", "edit", "-json"), &mod))
	for _, r := range mod.Require {
		if !r.Indirect {
			assert.Contains(t, []string{
				"github.com/stretchr/testify", "golang.org/x/sync", "github.com/json-iterator/go",
			}, r.Path)
		}
	}
}

// What a package may depend on beside the standard library, internal/ and its parent; only under
// the tag jsoniter if the name has it. A path that ends in a slash stands for all below it.
var allowedDeps = map[string][]string{
	"shutdown/posixsignal": {module + "/signals"},
	"jsonx jsoniter": {
		"github.com/json-iterator/go",
		"github.com/modern-go/concurrent", "github.com/modern-go/reflect2",
	},
}

// What only tests may import: those of any package, or of the one that is named.
var (
	allowedInTests    = []string{"github.com/stretchr/testify/", internal}
	allowedInTestsFor = map[string][]string{"concurrent": {"golang.org/x/sync/"}}

	testOnly = []string{internal + "testproc"}
)

const internal = module + "/internal/"

func TestImports(t *testing.T) {
	for _, tag := range []string{"", "jsoniter"} {
		t.Run("tag "+tag, func(t *testing.T) {
			packages := list(t, root, "-tags="+tag, "./...")
			require.NotEmpty(t, packages)
			for _, p := range packages {
				if slices.Contains(testOnly, p.ImportPath) {
					p.Imports, p.TestImports = nil, append(p.TestImports, p.Imports...)
				} else {
					checkDeps(t, p, tag)
				}
				checkTestImports(t, p)
			}
		})
	}
}

func checkDeps(t *testing.T, p listed, tag string) {
	t.Helper()
	allowed := append([]string{internal}, allowedDeps[p.name()]...)
	if tag != "" {
		allowed = append(allowed, allowedDeps[p.name()+" "+tag]...)
	}
	if parent := path.Dir(p.ImportPath); parent != module {
		allowed = append(allowed, parent)
	}
	for _, dep := range p.Deps {
		assert.True(t, isStandard(dep) || isAllowed(dep, allowed), "%s depends on %s", p.ImportPath, dep)
		assert.NotContains(t, testOnly, dep, "%s is not a test", p.ImportPath)
	}
}

// checkTestImports lets a test use the packages of this module that lie below or above the one it
// tests, and those that this one uses itself.
func checkTestImports(t *testing.T, p listed) {
	t.Helper()
	top, _, _ := strings.Cut(p.name(), "/")
	allowed := slices.Concat(allowedInTests, allowedInTestsFor[p.name()],
		[]string{module + "/" + top, module + "/" + top + "/"})
	for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
		if isStandard(imported) || slices.Contains(p.Imports, imported) {
			continue
		}
		assert.True(t, isAllowed(imported, allowed), "a test of %s imports %s", p.ImportPath, imported)
	}
}

// The examples are there to be copied, so they do without what a copy could not import. What their
// tests share is not.
func TestExamplesImportNothingInternal(t *testing.T) {
	const sharedByTests = module + "/examples/internal/stoptest"
	packages := list(t, ".", module+"/examples/...")
	require.NotEmpty(t, packages)
	for _, p := range packages {
		if p.ImportPath == sharedByTests {
			continue
		}
		for _, imported := range p.Imports {
			assert.False(t, strings.HasPrefix(imported, internal) || imported == sharedByTests,
				"%s imports %s", p.ImportPath, imported)
		}
	}
}

func isAllowed(importPath string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		return importPath == a || strings.HasSuffix(a, "/") && strings.HasPrefix(importPath, a)
	})
}

// isStandard goes by the rule of the go command: the first element of a path outside the standard
// library has a dot.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

type listed struct {
	ImportPath                               string
	Imports, Deps, TestImports, XTestImports []string
}

// name is the path of the package below the root.
func (p listed) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func list(t *testing.T, dir string, args ...string) []listed {
	t.Helper()
	args = append([]string{"list", "-json=ImportPath,Imports,Deps,TestImports,XTestImports"}, args...)
	out := json.NewDecoder(bytes.NewReader(goCommand(t, dir, args...)))
	var packages []listed
	for {
		var p listed
		err := out.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

func goCommand(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %v", args)
	return out
}
