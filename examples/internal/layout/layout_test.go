// Package layout holds the repository to its rules: what stands at the top level, and what each package may import.
// It belongs to the examples module, because the root module's top level has no place for a test.
package layout

import (
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
		"signals", "shutdown", "health", "concurrent", "objectmeta", "jsonx", "reqid", "examples",
		"go.mod", "go.sum", "LICENSE", "README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
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
	require.NoError(t, json.Unmarshal(goCommand(t, "mod", "edit", "-json"), &mod))
	for _, r := range mod.Require {
		if !r.Indirect {
			assert.Contains(t, []string{"github.com/stretchr/testify", "golang.org/x/sync", "github.com/json-iterator/go"}, r.Path)
		}
	}
}

// What may stand beside the standard library, by the first element of the package's path; under the tag jsoniter if the name has it.
var allowedImports = map[string][]string{
	"concurrent":     {"golang.org/x/sync/"},
	"health":         {"golang.org/x/sync/"},
	"jsonx jsoniter": {"github.com/json-iterator/go", "github.com/modern-go/concurrent", "github.com/modern-go/reflect2"},
}

func TestImports(t *testing.T) {
	for _, tag := range []string{"", "jsoniter"} {
		t.Run("tag "+tag, func(t *testing.T) {
			packages := list(t, "-tags="+tag, "./...")
			require.NotEmpty(t, packages)
			for _, p := range packages {
				allowed := allowedImports[strings.TrimSpace(topDirectory(p.ImportPath)+" "+tag)]
				for _, dep := range p.Deps {
					if isStandard(dep) || dep == path.Dir(p.ImportPath) && dep != module {
						continue
					}
					assert.True(t, slices.ContainsFunc(allowed, func(a string) bool { return dep == a || strings.HasPrefix(dep, a) }),
						"%s depends on %s", p.ImportPath, dep)
				}
				for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
					if isStandard(imported) || strings.HasPrefix(imported, p.ImportPath) || strings.HasPrefix(imported, "github.com/stretchr/testify/") ||
						slices.Contains(p.Imports, imported) || imported == path.Dir(p.ImportPath) {
						continue
					}
					// A test may use the packages of this module that lie below or above the one it tests.
					assert.True(t, strings.HasPrefix(imported, module+"/"+topDirectory(p.ImportPath)), "a test of %s imports %s", p.ImportPath, imported)
				}
			}
		})
	}
}

func topDirectory(importPath string) string {
	dir, _, _ := strings.Cut(strings.TrimPrefix(importPath, module+"/"), "/")
	return dir
}

// isStandard goes by the rule of the go command: the first element of a path outside the standard library has a dot.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

type listed struct {
	ImportPath                               string
	Imports, Deps, TestImports, XTestImports []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	out := json.NewDecoder(strings.NewReader(string(goCommand(t, append([]string{"list", "-json=ImportPath,Imports,Deps,TestImports,XTestImports"}, args...)...))))
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

// goCommand runs the go command in the root module.
func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %v", args)
	return out
}
