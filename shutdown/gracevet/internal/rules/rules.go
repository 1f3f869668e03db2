// Package rules has the rules of gracevet: one mistake in how a Go program stops per analyzer, each
// in a file named after it.
package rules

import (
	"go/ast"
	"go/token"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// All returns the analyzers of all rules, and of the directive that silences them.
func All() []*analysis.Analyzer {
	directives := newDirectives(catalogue())
	all := []*analysis.Analyzer{directives}
	for _, r := range catalogue() {
		all = append(all, r.analyzer(directives))
	}
	return all
}

// catalogue lists the rules in the order of the README.
func catalogue() []rule {
	return []rule{
		notifygo, signalbuffer, sigkill, stoplost, // how the signal arrives
		endedctx, endedparent, selfshutdown, gracefulstop, // how the servers are told
		serveexit, exitskips, waitgroupadd, errchan, // how the program leaves
	}
}

// A rule is the source of an analyzer.
type rule struct {
	name string
	doc  string // the first line says what is found
	run  func(*pass)

	needs []string // a package is looked at only if it imports one of these
	tests bool     // test files are looked at too; elsewhere a test may do it on purpose
}

func (r rule) analyzer(directives *analysis.Analyzer) *analysis.Analyzer {
	return &analysis.Analyzer{
		Name:     r.name,
		Doc:      r.doc,
		URL:      "https://pkg.go.dev/github.com/gracekit/gracekit/shutdown/gracevet",
		Requires: []*analysis.Analyzer{inspect.Analyzer, directives},
		Run: func(p *analysis.Pass) (any, error) {
			if importsAny(p, r.needs) {
				r.run(&pass{
					Pass: p, rule: r,
					root:     p.ResultOf[inspect.Analyzer].(*inspector.Inspector).Root(),
					silenced: p.ResultOf[directives].(silenced),
				})
			}
			return nil, nil
		},
	}
}

// importsAny also takes packages that end in one of the paths, which finds vendored ones and every
// major version.
func importsAny(p *analysis.Pass, paths []string) bool {
	for _, imported := range p.Pkg.Imports() {
		for _, path := range paths {
			if imported.Path() == path || strings.HasSuffix(imported.Path(), "/"+path) {
				return true
			}
		}
	}
	return len(paths) == 0
}

// A pass is one package, as a rule sees it.
type pass struct {
	*analysis.Pass
	rule     rule
	root     inspector.Cursor
	silenced silenced
}

// report reports a finding at n, unless a directive silences it there. All of fixes are one change.
func (p *pass) report(n ast.Node, message string, fix ...analysis.TextEdit) {
	if p.isTest(n) && !p.rule.tests {
		return
	}
	file := p.Fset.File(n.Pos())
	if p.silenced[line{file, file.Line(n.Pos()), p.rule.name}] {
		return
	}
	d := analysis.Diagnostic{Pos: n.Pos(), End: n.End(), Message: message}
	if len(fix) > 0 {
		d.SuggestedFixes = []analysis.SuggestedFix{{Message: "mend it", TextEdits: fix}}
	}
	p.Report(d)
}

func insert(at token.Pos, text string) analysis.TextEdit {
	return analysis.TextEdit{Pos: at, End: at, NewText: []byte(text)}
}

func remove(from, to token.Pos) analysis.TextEdit {
	return analysis.TextEdit{Pos: from, End: to}
}
