package main

import (
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

func TestUncommented(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         []string
	}{
		{"function", "func F() {}; func f() {}", []string{"F"}},
		{"function with one", "// F …\nfunc F() {}", nil},
		{"method", "type s struct{}; func (s) M() {}\n// S …\ntype S[T any] struct{}; func (*S[T]) M() {}", []string{"S.M"}},
		{"type", "type T int", []string{"T"}},
		{"types of a group", "// All …\ntype (\n// A …\nA int\nB int\n)", []string{"B"}},
		{"constants", "const (\nA = 1 // one\nB = 2\n)", []string{"B"}},
		{"constants of a group with one", "// All …\nconst (\nA = 1\nB = 2\n)", nil},
		{"variables", "var V, v int", []string{"V"}},
		{"variable in a function", "// F …\nfunc F() { var V int; _ = V }", nil},
		{"fields", "// S …\ntype S struct {\n// A …\nA int\nB int // …\nC int\nd int\n}", []string{"S.C"}},
		{"fields of what is not exported", "type s struct { A int }", nil},
		{"the only method of an interface", "// I …\ntype I interface{ M() }", nil},
		{"methods of an interface", "// I …\ntype I interface {\nM()\nN() // …\n}", []string{"I.M"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, err := parser.ParseFile(token.NewFileSet(), "p.go", "package p\n"+c.source, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if got := uncommented([]*ast.File{file}); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestLinksIn(t *testing.T) {
	text := `See [Known], [net/http.Server.Shutdown] and [Unknown]; ID[Kind] and Get[int] are types.

  - in a list: [*Unknown.Method]

In code:

	[Service]
	as [Known] says
`
	p := comment.Parser{LookupSym: func(_, name string) bool { return name == "Known" }}
	links, stray := linksIn(p.Parse(text))
	var names []string
	for _, link := range links {
		names = append(names, strings.TrimPrefix(link.DefaultURL(""), "/"))
	}
	if want := []string{"#Known", "net/http#Server.Shutdown"}; !slices.Equal(names, want) {
		t.Errorf("links: got %q, want %q", names, want)
	}
	if want := []string{"[Unknown]", "[*Unknown.Method]", "[Known]"}; !slices.Equal(stray, want) {
		t.Errorf("no links: got %q, want %q", stray, want)
	}
}

func TestDeadLinks(t *testing.T) {
	links := map[*comment.DocLink]string{
		{ImportPath: "errors"}:                                                   "a package",
		{ImportPath: "errors", Name: "Is"}:                                       "a function",
		{ImportPath: "net/http", Recv: "Server", Name: "Shutdown"}:               "a method",
		{ImportPath: "net/http", Recv: "Server", Name: "Addr"}:                   "a field",
		{ImportPath: "errors", Name: "Isnt"}:                                     "no function",
		{ImportPath: "net/http", Recv: "Server", Name: "Halt"}:                   "no method",
		{ImportPath: "github.com/gracekit/gracekit/shutdown/none", Name: "None"}: "no package",
		{Name: "Own"}: "its own package",
	}
	got, err := deadLinks(links)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{
		"no function: a link leads nowhere: /errors#Isnt",
		"no method: a link leads nowhere: /net/http#Server.Halt",
		"no package: a link leads nowhere: /github.com/gracekit/gracekit/shutdown/none#None",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
