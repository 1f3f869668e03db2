// Command release checks what users would download: it builds the zip files of our two modules as
// the Go proxy does, serves them from a directory, and in an empty module gets each package alone,
// builds a program that imports it, and looks at what that depends on. It installs gracevet, the
// other module, and runs it.
//
//	go run -C .ci/check ./release
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

const (
	root       = "../.."
	modulePath = "github.com/gracekit/gracekit"
	gracevet   = "shutdown/gracevet" // a module of its own, there
	version    = "v0.1.0"            // of nothing that exists; it is only served here
)

// What a package may depend on beside the standard library, internal/, its own parent and itself;
// under a build tag if the name has one. The layout test of the examples has the same rule for the
// source; this is about what arrives at a user.
var allowed = map[string][]string{
	"shutdown/posixsignal": {modulePath + "/signals"},
	"jsonx jsoniter": {
		"github.com/json-iterator/go",
		"github.com/modern-go/concurrent", "github.com/modern-go/reflect2",
	},
}

// What users get as well, but only as part of the packages that import it.
const (
	internal = modulePath + "/internal/"
	testOnly = internal + "test" // the beginning of the names of those that only tests import
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal("release: ", err)
	}
}

func run() (err error) {
	dir, err := os.MkdirTemp("", "gracekit-release-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	for _, below := range []string{"", gracevet} {
		m := module.Version{Path: path.Join(modulePath, below), Version: version}
		if err := writeProxy(filepath.Join(dir, "proxy"), m, below); err != nil {
			return err
		}
	}
	env, err := environment(dir)
	if err != nil {
		return err
	}
	// This one is first: where GONOPROXY is set, and the root module of that version in the module
	// cache, the go command asks no proxy.
	if err := tryGracevet(filepath.Join(dir, "program"), env); err != nil {
		return err
	}
	packages, err := output(root, env, "go", "list", "-f", "{{.ImportPath}} {{.Name}}", "./...")
	if err != nil {
		return err
	}
	for line := range strings.Lines(packages) {
		importPath, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(importPath, internal) {
			continue
		}
		check := try
		if name == "main" {
			check = tryCommand
		}
		if err := check(filepath.Join(dir, "program"), env, importPath, ""); err != nil {
			return err
		}
	}
	return try(filepath.Join(dir, "program"), env, modulePath+"/jsonx", "jsoniter")
}

// environment makes the go command take our module from dir, the others from where it has them
// already or else from the usual proxy, and keep nothing of it.
func environment(dir string) ([]string, error) {
	cache, err := output(root, os.Environ(), "go", "env", "GOMODCACHE")
	if err != nil {
		return nil, err
	}
	usual, err := output(root, os.Environ(), "go", "env", "GOPROXY")
	if err != nil {
		return nil, err
	}
	return append(os.Environ(),
		"GOWORK=off",
		"GOFLAGS=-mod=mod -modcacherw",
		"GOMODCACHE="+filepath.Join(dir, "modules"),
		fmt.Sprintf("GOPROXY=file://%s,file://%s/cache/download,%s", filepath.Join(dir, "proxy"), cache, usual),
		"GONOSUMDB="+modulePath, // the checksum database knows only what is released
		"GOPRIVATE=", "GONOPROXY=none",
	), nil
}

// tryCommand runs a command as its page says, from a directory without a module.
func tryCommand(dir string, env []string, importPath, _ string) error {
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return err
	}
	_, err := output(dir, env, "go", "run", importPath+"@"+version, "-help")
	if err == nil {
		fmt.Printf("%s: runs\n", strings.TrimPrefix(importPath, modulePath+"/"))
	}
	return err
}

// tryGracevet installs gracevet as its README says, and lets it look at a program with a mistake.
func tryGracevet(dir string, env []string) error {
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return err
	}
	if _, err := output(dir, append(env, "GOBIN="+dir), "go", "install", modulePath+"/"+gracevet+"@"+version); err != nil {
		return err
	}
	const program = `package main

import (
	"os"
	"os/signal"
)

func main() { signal.Notify(make(chan os.Signal, 1), os.Interrupt, os.Kill) }
`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		return err
	}
	if _, err := output(dir, env, "go", "mod", "init", "example.com/program"); err != nil {
		return err
	}
	_, err := output(dir, env, "go", "vet", "-vettool="+filepath.Join(dir, "gracevet"), ".")
	if err == nil || !strings.Contains(err.Error(), "main.go:8:68: this signal cannot be handled") {
		return fmt.Errorf("gracevet does not find os.Kill in Notify: %v", err)
	}
	fmt.Println(gracevet + ": is installed, and finds a mistake")
	return nil
}

// try gets one package into an empty module.
func try(dir string, env []string, importPath, tag string) (err error) {
	name := strings.TrimSpace(strings.TrimPrefix(importPath, modulePath+"/") + " " + tag)
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	}()
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	program := fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", importPath)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mod", "init", "example.com/program"},
		{"get", importPath + "@" + version},
		{"build", "-tags=" + tag, "-o", filepath.Join(dir, "program"), "."},
	} {
		if _, err := output(dir, env, "go", args...); err != nil {
			return err
		}
	}
	var deps []string
	for _, goos := range []string{"linux", "darwin", "windows"} {
		listed, err := output(dir, slices.Concat(env, []string{"GOOS=" + goos}),
			"go", "list", "-tags="+tag, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", importPath)
		if err != nil {
			return err
		}
		deps = append(deps, strings.Fields(listed)...)
	}
	slices.Sort(deps)
	return checkDependencies(name, importPath, slices.Compact(deps))
}

func checkDependencies(name, importPath string, deps []string) error {
	var others []string
	for _, dep := range deps {
		if dep == importPath {
			continue
		}
		ours := strings.HasPrefix(dep, internal) && !strings.HasPrefix(dep, testOnly)
		if !ours && dep != path.Dir(importPath) && !slices.Contains(allowed[name], dep) {
			return fmt.Errorf("it depends on %s", dep)
		}
		others = append(others, strings.TrimPrefix(dep, modulePath+"/"))
	}
	if len(others) == 0 {
		others = []string{"the standard library alone"}
	}
	fmt.Printf("%-22s builds; depends on %s\n", name, strings.Join(others, ", "))
	return nil
}

// output is that of a command; what it says when it fails is in the error.
func output(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
