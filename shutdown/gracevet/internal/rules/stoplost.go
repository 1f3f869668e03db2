package rules

import (
	"go/ast"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/inspector"
)

var stoplost = rule{
	name: "stoplost",
	doc: `report signal.NotifyContext whose stop function is thrown away

Wrong:

	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)

Right:

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-ctx.Done()
	stop() // from here on the second Ctrl-C ends the process

Without stop the signals stay registered for ever: the second Ctrl-C, of somebody who does not want
to wait for the drain, does nothing, and the goroutine behind the context lives on.

Overlap: lostcancel of go vet looks at the functions of package context, not at this one.

Source: https://pkg.go.dev/os/signal#NotifyContext`,
	needs: []string{"os/signal"},
	run: func(p *pass) {
		for c := range p.root.Preorder((*ast.AssignStmt)(nil), (*ast.ValueSpec)(nil)) {
			var results, values []ast.Expr
			switch n := c.Node().(type) {
			case *ast.AssignStmt:
				results, values = n.Lhs, n.Rhs
			case *ast.ValueSpec:
				for _, name := range n.Names {
					results = append(results, name)
				}
				values = n.Values
			}
			if len(results) != 2 || len(values) != 1 {
				continue
			}
			call, isCall := ast.Unparen(values[0]).(*ast.CallExpr)
			stop, isName := results[1].(*ast.Ident)
			if isCall && isName && stop.Name == "_" && p.calls(call, "os/signal", "NotifyContext") {
				p.report(stop, "the stop function is lost: the second Ctrl-C will do nothing",
					p.keepStop(c, stop)...)
			}
		}
	},
}

// keepStop defers stop where that is right for sure: in main, which outlives the context.
func (p *pass) keepStop(assign inspector.Cursor, stop *ast.Ident) []analysis.TextEdit {
	body, fn := function(assign)
	if !p.isMain(fn) || assign.Parent() != body || p.taken("stop", stop.Pos()) {
		return nil
	}
	return []analysis.TextEdit{
		{Pos: stop.Pos(), End: stop.End(), NewText: []byte("stop")},
		insert(assign.Node().End(), "\ndefer stop()"),
	}
}
