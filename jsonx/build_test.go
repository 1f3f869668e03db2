package jsonx_test

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goCommand runs the go command in this directory and returns what it printed.
func goCommand(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the go command; not with -short")
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if _, lookErr := exec.LookPath("go"); lookErr != nil {
		t.Skip("no go command")
	}
	return string(out), err
}

// exports lists the exported declarations of the package as it is built with some tags.
func exports(t *testing.T, tags ...string) []string {
	t.Helper()
	ctx := build.Default
	ctx.BuildTags = tags
	ctx.ToolTags = []string{"goexperiment.jsonv2"}
	pkg, err := ctx.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	fset, list := token.NewFileSet(), []string(nil)
	text := func(node any) string {
		var b strings.Builder
		if err := printer.Fprint(&b, fset, node); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, name := range pkg.GoFiles {
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.FileExports(file)
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv != nil && !ast.IsExported(strings.Trim(text(decl.Recv.List[0].Type),
					"*[T]")) {
					continue
				}
				decl.Body = nil
				list = append(list, text(decl))
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if decl.Tok == token.IMPORT {
						continue
					}
					list = append(list, decl.Tok.String()+" "+text(spec))
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

func TestSameAPIUnderEveryTag(t *testing.T) {
	want := exports(t)
	if len(want) < 30 {
		t.Fatalf("got %d exports, want the whole API: %q", len(want), want)
	}
	for _, tag := range []string{"jsoniter", "jsonv2"} {
		if got := exports(t, tag); !slices.Equal(got, want) {
			t.Errorf(
				"with -tags %s: got %s\nwant %s",
				tag,
				strings.Join(got, "\n"),
				strings.Join(want, "\n"),
			)
		}
	}
	for _, decl := range want {
		if strings.HasPrefix(decl, "var ") {
			t.Errorf("%s: want functions, which a program cannot replace", decl)
		}
	}
}

func TestNoThirdPartyPackageWithoutTag(t *testing.T) {
	out, err := goCommand(
		t,
		nil,
		"list",
		"-tags=",
		"-deps",
		"-f",
		"{{if not .Standard}}{{.ImportPath}}{{end}}",
		".",
	)
	if err != nil {
		t.Fatal(err, out)
	}
	if got, want := strings.TrimSpace(out), "github.com/gracekit/gracekit/jsonx"; got != want {
		t.Errorf("got packages %q, want only %q", got, want)
	}
}

func TestBinarySizeWithoutTag(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command; not with -short")
	}
	program := func(name string) []byte {
		exe := filepath.Join(t.TempDir(), name)
		if out, err := goCommand(t, nil, "build", "-tags=", "-o", exe,
			"./testdata/size/"+name); err != nil {
			t.Fatal(err, out)
		}
		data, err := os.ReadFile(exe)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	std, jsonx := program("std"), program("jsonx")
	t.Logf("encoding/json %d bytes, jsonx %+d", len(std), len(jsonx)-len(std))
	if got, want := len(jsonx)-len(std), 32<<10; got > want {
		t.Errorf("importing jsonx adds %d bytes, want at most %d", got, want)
	}
	if bytes.Contains(jsonx, []byte("json-iterator")) {
		t.Error("json-iterator is in a binary built without the tag")
	}
}

func TestTagsThatCannotBuild(t *testing.T) {
	for _, c := range []struct {
		name, tags string
		env        []string
		want       []string
	}{
		{"no v2 in this Go", "jsonv2", []string{"GOEXPERIMENT=nojsonv2"}, []string{"Go 1.27",
			"GOEXPERIMENT=jsonv2"}},
		{"two engines", "jsoniter,jsonv2", nil, []string{"jsoniter and jsonv2 exclude each other"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := goCommand(t, c.env, "build", "-tags="+c.tags, ".")
			if err == nil {
				t.Fatalf("-tags %s builds", c.tags)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("got %s\nwant it to say %q", out, want)
				}
			}
			if n := strings.Count(out, ".go:"); n != 1 {
				t.Errorf("got %d errors, want the one that says what to do:\n%s", n, out)
			}
		})
	}
}
