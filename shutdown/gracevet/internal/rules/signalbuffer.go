package rules

import (
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

var signalbuffer = rule{
	name: "signalbuffer",
	doc: `report unbuffered channels that are given to signal.Notify

Wrong:

	s.quit = make(chan os.Signal)
	signal.Notify(s.quit, syscall.SIGTERM)

Right:

	s.quit = make(chan os.Signal, 1)
	signal.Notify(s.quit, syscall.SIGTERM)

Package signal does not wait: a signal that comes while nobody receives is lost, and the stop that
it asks for never begins.

Overlap: sigchanyzer of go vet knows channels in local variables. This rule also finds those in
fields, in variables of another file, and those made with the size 0.

Source: https://pkg.go.dev/os/signal#Notify`,
	needs: []string{"os/signal"},
	tests: true,
	run: func(p *pass) {
		var made map[types.Object][]ast.Expr
		for c := range p.root.Preorder((*ast.CallExpr)(nil)) {
			call := c.Node().(*ast.CallExpr)
			if !p.calls(call, "os/signal", "Notify") {
				continue
			}
			if made == nil {
				made = p.channels()
			}
			var fix []analysis.TextEdit
			values := made[p.variable(call.Args[0])]
			for _, value := range values {
				if n, ok := p.capacity(value); ok && n == 0 {
					fix = append(fix, buffer(value)...)
				}
			}
			if len(fix) > 0 && len(fix) == len(values) {
				p.report(call, "the channel is unbuffered: a signal that comes while nobody receives "+
					"is lost", fix...)
			}
		}
	},
}

// channels collects the values that the package gives to each of its variables and fields that are
// channels.
func (p *pass) channels() map[types.Object][]ast.Expr {
	made := make(map[types.Object][]ast.Expr)
	add := func(variable, value ast.Expr) {
		v := p.variable(variable)
		if v == nil {
			return
		}
		if _, ok := v.Type().Underlying().(*types.Chan); ok {
			made[v] = append(made[v], value)
		}
	}
	gives := []ast.Node{(*ast.AssignStmt)(nil), (*ast.ValueSpec)(nil), (*ast.KeyValueExpr)(nil)}
	for c := range p.root.Preorder(gives...) {
		switch n := c.Node().(type) {
		case *ast.AssignStmt:
			for i, v := range n.Lhs {
				if len(n.Lhs) == len(n.Rhs) {
					add(v, n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			for i, v := range n.Names {
				if len(n.Names) == len(n.Values) {
					add(v, n.Values[i])
				}
			}
		case *ast.KeyValueExpr:
			add(n.Key, n.Value)
		}
	}
	return made
}

// variable is the variable or field that e names, or nil.
func (p *pass) variable(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		return p.variable(e.Sel)
	case *ast.Ident:
		if v, ok := p.TypesInfo.ObjectOf(e).(*types.Var); ok {
			return v
		}
	}
	return nil
}

// buffer makes room for one element in what make makes.
func buffer(made ast.Expr) []analysis.TextEdit {
	args := ast.Unparen(made).(*ast.CallExpr).Args
	if len(args) == 1 {
		return []analysis.TextEdit{insert(args[0].End(), ", 1")}
	}
	return []analysis.TextEdit{{Pos: args[1].Pos(), End: args[1].End(), NewText: []byte("1")}}
}
