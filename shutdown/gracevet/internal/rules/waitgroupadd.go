package rules

import (
	"bytes"
	"go/ast"
	"go/format"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

var waitgroupadd = rule{
	name: "waitgroupadd",
	doc: `report a goroutine that adds itself to a WaitGroup

Wrong:

	go func() {
		wg.Add(1)
		defer wg.Done()
		work()
	}()
	wg.Wait()

Right:

	wg.Add(1)
	go func() {
		defer wg.Done()
		work()
	}()
	wg.Wait()

Or, from Go 1.25 on, wg.Go(work). Wait may come before the goroutine runs, and then it returns while
the work goes on, or has not even begun.

Overlap: waitgroup of go vet finds Add as the first statement of a function literal. This rule also
finds it below other statements, and in functions with a name.

Source: https://pkg.go.dev/sync#WaitGroup.Add`,
	needs: []string{"sync"},
	tests: true,
	run: func(p *pass) {
		seen := make(map[ast.Node]bool) // a function may be started in several places
		for g := range p.goroutines(p.root) {
			for _, c := range ownCalls(g.body) {
				add := c.Node().(*ast.CallExpr)
				if !seen[add] && p.addsItself(g, c) {
					seen[add] = true
					p.report(add, "Wait may return before this goroutine has begun; "+
						"call Add before the go statement", p.moveAdd(g, c)...)
				}
			}
		}
	},
}

// addsItself reports whether c is an Add that the same goroutine takes back by Done. An Add for
// other goroutines is right inside of one that is counted already.
func (p *pass) addsItself(g goroutine, c inspector.Cursor) bool {
	add := c.Node().(*ast.CallExpr)
	if !p.calls(add, "sync", "WaitGroup.Add") || c.Parent().Parent() != g.body {
		return false
	}
	if next, ok := c.Parent().NextSibling(); ok && isGo(next) {
		return false
	}
	recv, _ := p.method(add)
	group := p.place(recv)
	if group.root == nil || within(g.body.Node(), group.root.Pos()) {
		return false
	}
	done := false
	for _, c := range ownCalls(g.body) {
		call := c.Node().(*ast.CallExpr)
		if recv, _ := p.method(call); recv == nil || p.place(recv) != group {
			continue
		}
		if call.Pos() < add.Pos() {
			return false // it is counted already
		}
		done = done || p.calls(call, "sync", "WaitGroup.Done")
	}
	body, fn := function(g.start)
	if !done || fn == nil || p.awaited(g, add) || p.locked(g, add) {
		return false
	}
	for _, c := range ownCalls(body) {
		call := c.Node().(*ast.CallExpr)
		if p.calls(call, "sync", "WaitGroup.Add") && call.Pos() < g.start.Node().Pos() {
			return false // it has been counted
		}
	}
	return true
}

// awaited reports whether the statement after the go statement receives what the goroutine sends
// after add: the Add comes first then.
func (p *pass) awaited(g goroutine, add *ast.CallExpr) bool {
	next, ok := g.start.NextSibling()
	if !ok {
		return false
	}
	stmt, ok := next.Node().(*ast.ExprStmt)
	if !ok {
		return false
	}
	started := p.received(stmt)
	for c := range g.body.Preorder((*ast.SendStmt)(nil)) {
		send := c.Node().(*ast.SendStmt)
		if started != nil && send.Pos() > add.Pos() && p.variable(send.Chan) == started {
			return true
		}
	}
	return false
}

// locked reports whether add stands between a Lock and its Unlock: whoever waits may hold the lock
// while it forbids more goroutines, as net/http does.
func (p *pass) locked(g goroutine, add *ast.CallExpr) (held bool) {
	for _, c := range ownCalls(g.body) {
		if c.Node().Pos() > add.Pos() {
			break
		}
		if _, name := p.method(c.Node().(*ast.CallExpr)); c.ParentEdgeKind() == edge.ExprStmt_X &&
			c.Parent().Parent() == g.body {
			held = name == "Lock" || held && name != "Unlock"
		}
	}
	return held
}

func isGo(stmt inspector.Cursor) bool {
	_, ok := stmt.Node().(*ast.GoStmt)
	return ok
}

// moveAdd moves the call before the go statement, if the goroutine begins with it.
func (p *pass) moveAdd(g goroutine, c inspector.Cursor) []analysis.TextEdit {
	add := c.Node().(*ast.CallExpr)
	start, ok := statement(g.start)
	recv, _ := p.method(add)
	first := g.body.Node().(*ast.BlockStmt).List[0]
	_, constant := p.int(add.Args[0])
	if g.named || !ok || !constant || first != c.Parent().Node() ||
		within(g.body.Parent().Node(), p.place(recv).root.Pos()) {
		return nil
	}
	var text bytes.Buffer
	if format.Node(&text, p.Fset, first) != nil {
		return nil
	}
	return []analysis.TextEdit{
		insert(start.Node().Pos(), text.String()+"\n"),
		remove(first.Pos(), first.End()),
	}
}
