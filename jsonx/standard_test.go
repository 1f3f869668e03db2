package jsonx_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

const module = "github.com/gracekit/gracekit"

// goroots is the environment variable with the GOROOTs whose tests of encoding/json are run.
const goroots = "GRACEKIT_TEST_GOROOTS"

// TestOfEncodingJSON runs encoding/json's own tests against jsonx, those of each release in
// goroots. They fail where the table in the package documentation says so, and nowhere else.
func TestOfEncodingJSON(t *testing.T) {
	roots := filepath.SplitList(os.Getenv(goroots))
	if len(roots) == 0 {
		t.Skipf("%s is not set", goroots)
	}
	for _, root := range roots {
		release := releaseOf(t, root)
		t.Run(release, func(t *testing.T) {
			dir := t.TempDir()
			rewriteTests(t, filepath.Join(root, "src/encoding/json"), release, dir)
			failed, ran := runTests(t, buildTests(t, dir), dir)
			if ran < 100 {
				t.Errorf("only %d tests ran", ran)
			}
			checkFailures(t, release, failed)
		})
	}
}

// releaseOf returns go1.26 for the GOROOT of any go1.26.x.
func releaseOf(t *testing.T, root string) string {
	t.Helper()
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	release := regexp.MustCompile(`^go1\.\d+`).Find(version)
	if release == nil {
		t.Fatalf("%s: VERSION is %q", root, version)
	}
	return string(release)
}

// checkFailures wants exactly those tests to fail that a row of the table names for this build.
func checkFailures(t *testing.T, release string, failed map[string]string) {
	t.Helper()
	expected := map[string]string{}
	for _, row := range readDivergences(t) {
		for _, f := range row.failures {
			if f.release == release && slices.Contains(f.builds, implementation) {
				for _, test := range f.tests {
					expected[test] = row.title
				}
			}
		}
	}
	for _, test := range slices.Sorted(maps.Keys(failed)) {
		if _, ok := expected[test]; !ok {
			t.Errorf("%s fails in %s, and no row of %s says so:\n%s",
				test, thisBuild(), divergencesFile, failed[test])
		}
	}
	for test, row := range expected {
		if _, ok := failed[test]; !ok {
			t.Errorf("row %q: %s of %s no longer fails in %s", row, test, release, thisBuild())
		}
	}
}

// build names what is tested, engine and implementation.
func thisBuild() string {
	if jsonx.Engine == "github.com/json-iterator/go" {
		return "jsoniter/" + implementation
	}
	return implementation
}

// shim is the package that the tests of encoding/json believe to be theirs.
const shim = `package json

import (
	"encoding/json"
	"errors"
	"reflect"
	"unsafe"

	"github.com/gracekit/gracekit/jsonx"
)

const startDetectingCyclesAfter = 1000

var errUnexpectedEnd = errors.New("unexpected end of JSON input")

type isZeroer = interface{ IsZero() bool }

type scanner struct{}

func checkValid(data []byte, _ ...*scanner) error { return Unmarshal(data, new(RawMessage)) }

func isValidNumber(s string) bool {
	_, err := Marshal(Number(s))
	return s != "" && err == nil
}

func syntaxError(msg string, offset int64) *SyntaxError {
	return (*SyntaxError)(unsafe.Pointer(&struct {
		msg    string
		offset int64
	}{msg, offset}))
}

func marshalerError(typ reflect.Type, err error, sourceFunc string) *MarshalerError {
	return (*MarshalerError)(unsafe.Pointer(&struct {
		typ        reflect.Type
		err        error
		sourceFunc string
	}{typ, err, sourceFunc}))
}

var (
	Marshal       = jsonx.Marshal
	MarshalIndent = jsonx.MarshalIndent
	Unmarshal     = jsonx.Unmarshal
	Valid         = jsonx.Valid
	Indent        = jsonx.Indent
	Compact       = jsonx.Compact
	HTMLEscape    = jsonx.HTMLEscape
	NewEncoder    = jsonx.NewEncoder
	NewDecoder    = jsonx.NewDecoder
)

type (
	Encoder               = jsonx.Encoder
	Decoder               = jsonx.Decoder
	RawMessage            = jsonx.RawMessage
	Number                = jsonx.Number
	Marshaler             = jsonx.Marshaler
	Unmarshaler           = jsonx.Unmarshaler
	Token                 = jsonx.Token
	Delim                 = jsonx.Delim
	SyntaxError           = jsonx.SyntaxError
	UnmarshalTypeError    = jsonx.UnmarshalTypeError
	InvalidUnmarshalError = jsonx.InvalidUnmarshalError
	MarshalerError        = jsonx.MarshalerError
	UnsupportedTypeError  = jsonx.UnsupportedTypeError
	UnsupportedValueError = jsonx.UnsupportedValueError
	InvalidUTF8Error      = json.InvalidUTF8Error
	UnmarshalFieldError   = json.UnmarshalFieldError
)
`

// rewriteTests copies the tests that a release runs by default, without those that look inside of
// encoding/json.
func rewriteTests(t *testing.T, src, release, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(src, "*_test.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no tests in %s: %v", src, err)
	}
	fset := token.NewFileSet()
	parse := func(name string, text any) *ast.File {
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	files := map[string]*ast.File{"shim.go": parse("shim.go", shim)}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file := parse(name, callConstructors(parse(name, text), fset, string(text)))
		if runsByDefault(file, release) && !importsV2(file) {
			files[filepath.Base(name)] = file
		}
	}
	t.Logf("left out, because they look inside of encoding/json: %q", dropUndefined(files))
	for name, file := range files {
		dropImports(file)
		var b strings.Builder
		if err := printer.Fprint(&b, fset, file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeModule(t, dir)
	copyTestCase(
		t,
		filepath.Join(src, "internal/jsontest/testcase.go"),
		filepath.Join(dir, "jsontest"),
	)
}

// jsontest is a package of encoding/json, from which the tests have the names of their cases.
const jsontest = "encoding/json/internal/jsontest"

// copyTestCase copies the names, and leaves out the documents for benchmarks.
func copyTestCase(t *testing.T, src, dir string) {
	t.Helper()
	text, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const data = "\nvar Data []struct { Name string; Data func() []byte; New func() any }\n"
	text = regexp.MustCompile(`(?m)^//go:build .*$`).ReplaceAll(text, nil)
	text = append(text, data...)
	if err := os.WriteFile(filepath.Join(dir, "testcase.go"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// callConstructors replaces the literals of errors with fields that only encoding/json can set.
func callConstructors(file *ast.File, fset *token.FileSet, text string) string {
	type edit struct {
		from, to int
		text     string
	}
	var edits []edit
	replace := func(from, to token.Pos, text string) {
		edits = append(edits, edit{fset.Position(from).Offset, fset.Position(to).Offset, text})
	}
	_, hasErr := reflect.TypeFor[jsonx.UnmarshalTypeError]().FieldByName("Err")
	pointer := map[ast.Expr]token.Pos{}
	ast.Inspect(file, func(n ast.Node) bool {
		if unary, ok := n.(*ast.UnaryExpr); ok && unary.Op == token.AND {
			pointer[unary.X] = unary.OpPos
		}
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		name, ok := literal.Type.(*ast.Ident)
		if !ok {
			return true
		}
		if name.Name == "UnmarshalTypeError" && hasErr && len(literal.Elts) == 5 {
			if _, ok := literal.Elts[0].(*ast.KeyValueExpr); !ok {
				replace(literal.Rbrace, literal.Rbrace, ", nil")
			}
		}
		if name.Name == "UnmarshalTypeError" && !hasErr {
			for i, element := range literal.Elts {
				pair, ok := element.(*ast.KeyValueExpr)
				if i == 5 || ok && pair.Key.(*ast.Ident).Name == "Err" {
					replace(literal.Elts[i-1].End(), element.End(), "")
				}
			}
		}
		constructor, ok := map[string]string{
			"SyntaxError 2": "syntaxError(", "MarshalerError 3": "marshalerError(",
		}[fmt.Sprint(name.Name, " ", len(literal.Elts))]
		if !ok {
			return true
		}
		if from, ok := pointer[literal]; ok {
			replace(from, literal.Lbrace+1, constructor)
		} else {
			replace(literal.Pos(), literal.Lbrace+1, "*"+constructor)
		}
		for _, element := range literal.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				replace(pair.Pos(), pair.Value.Pos(), "")
			}
		}
		replace(literal.Rbrace, literal.End(), ")")
		return true
	})
	slices.SortFunc(edits, func(a, b edit) int { return b.from - a.from })
	for _, e := range edits {
		text = text[:e.from] + e.text + text[e.to:]
	}
	return text
}

// runsByDefault reports whether a file is built by its release if nobody says GOEXPERIMENT.
func runsByDefault(file *ast.File, release string) bool {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			expr, err := constraint.Parse(comment.Text)
			if err != nil {
				continue
			}
			return expr.Eval(func(tag string) bool {
				return tag == "goexperiment.jsonv2" && release != "go1.26"
			})
		}
	}
	return true
}

// importsV2 reports whether a file is about encoding/json/v2 itself.
func importsV2(file *ast.File) bool {
	return slices.ContainsFunc(file.Imports, func(spec *ast.ImportSpec) bool {
		return strings.HasPrefix(importPath(spec), "encoding/json/v2")
	})
}

// dropUndefined removes all declarations of package json that need something which is not there,
// such as a function or a package that encoding/json keeps to itself.
func dropUndefined(files map[string]*ast.File) (out []string) {
	dropRedeclared(files)
	defined := map[string]bool{}
	for _, name := range types.Universe.Names() {
		defined[name] = true
	}
	for _, file := range files {
		if file.Name.Name == "json" {
			for _, decl := range file.Decls {
				for _, name := range declared(decl) {
					defined[name] = true
				}
			}
		}
	}
	for dropped := true; dropped; {
		dropped = false
		for _, file := range files {
			if file.Name.Name != "json" {
				continue
			}
			imported := map[string]bool{}
			for _, spec := range file.Imports {
				path := importPath(spec)
				imported[importName(spec)] = path == jsontest || !strings.Contains(path, "internal")
			}
			unresolved := map[*ast.Ident]bool{}
			for _, ident := range file.Unresolved {
				unresolved[ident] = true
			}
			var why string
			missing := func(n ast.Node) (is bool) {
				ast.Inspect(n, func(n ast.Node) bool {
					ident, ok := n.(*ast.Ident)
					if !ok {
						return true
					}
					global := unresolved[ident] ||
						ident.Obj != nil && file.Scope.Lookup(ident.Name) == ident.Obj
					if global && !defined[ident.Name] && !imported[ident.Name] {
						is = true
						why = ident.Name
					}
					return true
				})
				return is
			}
			keep := file.Decls[:0]
			for _, decl := range file.Decls {
				general, ok := decl.(*ast.GenDecl)
				if ok && general.Tok == token.IMPORT || !missing(decl) {
					keep = append(keep, decl)
					continue
				}
				dropped = true
				for _, name := range declared(decl) {
					delete(defined, name)
					out = append(out, name+" ("+why+")")
				}
			}
			file.Decls = keep
		}
	}
	return out
}

// dropRedeclared removes from the shim what the tests of this release declare themselves.
func dropRedeclared(files map[string]*ast.File) {
	own := map[string]bool{}
	for name, file := range files {
		if name != "shim.go" && file.Name.Name == "json" {
			for _, decl := range file.Decls {
				for _, name := range declared(decl) {
					own[name] = true
				}
			}
		}
	}
	shim := files["shim.go"]
	shim.Decls = slices.DeleteFunc(shim.Decls, func(decl ast.Decl) bool {
		return slices.ContainsFunc(declared(decl), func(name string) bool { return own[name] })
	})
}

// declared returns the names that a declaration adds to its package.
func declared(decl ast.Decl) (names []string) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil {
			names = append(names, decl.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// dropImports removes the imports that are no longer used, lets examples import jsonx, and removes
// the build constraint and the comments, whose declarations may be gone.
func dropImports(file *ast.File) {
	used := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok {
				used[x.Name] = true
			}
		}
		return true
	})
	for _, decl := range file.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok || general.Tok != token.IMPORT {
			continue
		}
		general.Specs = slices.DeleteFunc(general.Specs, func(spec ast.Spec) bool {
			return !used[importName(spec.(*ast.ImportSpec))]
		})
	}
	for _, spec := range file.Imports {
		if importPath(spec) == jsontest {
			spec.Path.Value = strconv.Quote(module + "/jsonx/standard/jsontest")
		}
	}
	if file.Name.Name == "json_test" {
		for _, spec := range file.Imports {
			if importPath(spec) == "encoding/json" {
				spec.Name = ast.NewIdent("json")
				spec.Path.Value = strconv.Quote(module + "/jsonx")
			}
		}
		return // its comments have the output of the examples
	}
	file.Comments = nil
	file.Doc = nil
}

func importPath(spec *ast.ImportSpec) string {
	path, _ := strconv.Unquote(spec.Path.Value)
	return path
}

func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	path := importPath(spec)
	if path == "math/rand/v2" {
		return "rand"
	}
	return path[strings.LastIndex(path, "/")+1:]
}

// writeModule makes a module of the directory that requires this one.
func writeModule(t *testing.T, dir string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(mod), "module "+module, "module "+module+"/jsonx/standard", 1) +
		"\nrequire " + module + " v0.0.0\nreplace " + module + " => " + root + "\n"
	for name, data := range map[string]string{"go.mod": text, "go.sum": string(sum)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// buildTests builds the tests with the tag of this build and returns the program.
func buildTests(t *testing.T, dir string) string {
	t.Helper()
	tag := map[string]string{
		"github.com/json-iterator/go": "jsoniter", "encoding/json/v2": "jsonv2",
	}[jsonx.Engine]
	program := filepath.Join(dir, "standard.test")
	out, err := goCommand(t, nil, "test", "-C", dir, "-mod=mod", "-tags="+tag, "-vet=off",
		"-c", "-o", program)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

var resultLine = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+) \(`)

// runTests returns what the tests that failed have said, and how many tests there were. A test that
// ends the process has failed too; the others are run again without it.
func runTests(t *testing.T, program, dir string) (failed map[string]string, ran int) {
	t.Helper()
	failed = map[string]string{}
	var fatal []string
	for {
		args := []string{"-test.v", "-test.timeout=120s"}
		if len(fatal) > 0 {
			args = append(args, "-test.skip=^("+strings.Join(fatal, "|")+")$")
		}
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		data, err := cmd.CombinedOutput()
		out := string(data)
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		}
		if !strings.HasSuffix(strings.TrimSpace(out), "FAIL") && err != nil {
			name := lastRunning(out)
			if name == "" || slices.Contains(fatal, name) {
				t.Fatalf("the tests end without a result:\n%s", tail(out))
			}
			fatal = append(fatal, name)
			failed[name] = "ends the process: " + tail(out)
			continue
		}
		for _, m := range resultLine.FindAllStringSubmatchIndex(out, -1) {
			result, name := out[m[2]:m[3]], out[m[4]:m[5]]
			ran++
			if result == "FAIL" {
				_, said, _ := strings.Cut(out, "=== RUN   "+name+"\n")
				said, _, _ = strings.Cut(said, "\n===")
				said, _, _ = strings.Cut(said, "\n---")
				failed[name] = head(said)
			}
		}
		for name := range failed { // a test is named with its subtests, or alone
			if parent, _, ok := strings.Cut(name, "/"); ok {
				delete(failed, parent)
			}
		}
		return failed, ran
	}
}

// lastRunning is the test, not the subtest, that was running when the process ended.
func lastRunning(out string) string {
	const mark = "=== RUN   "
	i := strings.LastIndex(out, mark)
	if i < 0 {
		return ""
	}
	name, _, _ := strings.Cut(out[i+len(mark):], "\n")
	name, _, _ = strings.Cut(name, "/")
	return name
}

func head(s string) string { return fmt.Sprintf("%.600s", s) }

func tail(s string) string {
	if len(s) > 600 {
		s = s[:300] + " … " + s[len(s)-300:]
	}
	return s
}
