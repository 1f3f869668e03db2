package rules

import (
	"go/ast"
	"slices"

	"golang.org/x/tools/go/analysis"
)

var sigkill = rule{
	name: "sigkill",
	doc: `report SIGKILL and SIGSTOP among the signals to be handled

Wrong:

	signal.Notify(c, os.Interrupt, os.Kill)

Right:

	signal.Notify(c, os.Interrupt, syscall.SIGTERM)

No program ever sees these two. Whoever lists os.Kill often means SIGTERM, which is what
Kubernetes, systemd and docker stop send, and does not handle that.

Overlap: SA1016 of staticcheck; go vet has nothing like it.

Source: https://pkg.go.dev/os/signal#hdr-Types_of_signals`,
	needs: []string{"os/signal"},
	tests: true,
	run: func(p *pass) {
		for c := range p.root.Preorder((*ast.CallExpr)(nil)) {
			call := c.Node().(*ast.CallExpr)
			signals := call.Args
			switch {
			case p.calls(call, "os/signal", "Notify", "NotifyContext"):
				signals = signals[1:]
			case !p.calls(call, "os/signal", "Ignore", "Reset"):
				continue
			}
			for _, s := range signals {
				if p.isKill(s) {
					p.report(s, "this signal cannot be handled", p.without(signals, s)...)
				}
			}
		}
	},
}

func (p *pass) isKill(e ast.Expr) bool {
	return slices.Contains([]string{"Kill", "SIGKILL", "SIGSTOP"}, p.signalName(e))
}

// without removes s from the signals, unless none would remain, which means all, or its package
// would then be imported for nothing.
func (p *pass) without(signals []ast.Expr, s ast.Expr) []analysis.TextEdit {
	rest := slices.DeleteFunc(slices.Clone(signals), p.isKill)
	pkg := p.TypesInfo.Uses[ast.Unparen(s).(*ast.SelectorExpr).X.(*ast.Ident)]
	uses := 0
	for id, used := range p.TypesInfo.Uses {
		if used == pkg && !slices.ContainsFunc(signals, func(e ast.Expr) bool {
			return p.isKill(e) && within(e, id.Pos())
		}) {
			uses++
		}
	}
	if len(rest) == 0 || uses == 0 {
		return nil
	}
	i := slices.Index(signals, s)
	if i+1 < len(signals) {
		return []analysis.TextEdit{remove(s.Pos(), signals[i+1].Pos())}
	}
	return []analysis.TextEdit{remove(signals[i-1].End(), s.End())}
}
