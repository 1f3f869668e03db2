package rules

import (
	"go/ast"
	"go/version"

	"golang.org/x/tools/go/analysis"
)

var endedparent = rule{
	name: "endedparent",
	doc: `report a timeout for the drain whose parent context has ended

Wrong:

	<-ctx.Done()
	drain, cancel := context.WithTimeout(ctx, 20*time.Second)

Right:

	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)

A context ends with its parent. This one has ended before it begins, whatever its timeout, and what
gets it does not wait at all.

Source: https://pkg.go.dev/context#WithoutCancel`,
	needs: []string{"context"},
	run: func(p *pass) {
		for call := range p.usesOfEnded() {
			if p.bounds(call) {
				p.report(call, "the parent has ended already, and so has this context, whatever its "+
					"timeout", p.withoutCancel(call)...)
			}
		}
	},
}

// withoutCancel takes the parent's values alone.
func (p *pass) withoutCancel(call *ast.CallExpr) []analysis.TextEdit {
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || version.Compare(p.Pkg.GoVersion(), "go1.21") < 0 {
		return nil
	}
	pkg := fun.X.(*ast.Ident).Name
	return []analysis.TextEdit{
		insert(call.Args[0].Pos(), pkg+".WithoutCancel("),
		insert(call.Args[0].End(), ")"),
	}
}
