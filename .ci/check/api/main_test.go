package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

func symbolsOf(t *testing.T, source string) string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", "package p\n"+source, 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := new(types.Config).Check("example.com/p", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(symbols(pkg), "\n")
}

func TestSymbols(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"nothing that is not exported", "type a int; func f() {}; const c = 1; var v int", ""},
		{"constant", "type K int; const C K = 1 << 3", "const C K = 8\ntype K int"},
		{"variable", "var V []string", "var V []string"},
		{"function", "func F(a, b int, more ...string) error { return nil }", "func F(a int, b int, more ...string) error"},
		{"generic function", "func F[T any](v T) T { return v }", "func F[T any](v T) T"},
		{"alias", "type A = int", "type A = int"},
		{"struct", "type S struct { B int `json:\"b\"`; a int }", "type S struct\ntype S struct, B int `json:\"b\"`"},
		{"generic struct", "type S[T any] struct { V T }", "type S[T any] with constraint any struct\ntype S struct, V T"},
		{"interface", "type I interface { M(int) string }", "type I interface\ntype I interface, M(int) string"},
		{"sealed interface", "type I interface { m() }", "type I interface\ntype I interface, methods that are not exported: nobody else can implement it"},
		{"methods", "type S struct{}; func (S) V() {}; func (*S) P() int { return 0 }; func (S) m() {}",
			"type S struct\nmethod (*S) P() int\nmethod (S) V()"},
		{"methods of what is embedded", "type e struct{}; func (*e) M() {}; type S struct{ e }", "type S struct\nmethod (*S) M()"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := symbolsOf(t, c.source); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestDifference(t *testing.T) {
	old := []string{"p: func A()", "p: func B()", "p: func D()"}
	now := []string{"p: func A()", "p: func B(int)", "p: func C()", "p: func D()"}
	want := []string{"- p: func B()", "+ p: func B(int)", "+ p: func C()"}
	if got := difference(old, now); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := difference(old, old); got != nil {
		t.Errorf("got %q, want no difference", got)
	}
}
