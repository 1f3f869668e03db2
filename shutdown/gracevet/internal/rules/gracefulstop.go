package rules

import (
	"go/ast"
	"go/types"
	"regexp"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

var gracefulstop = rule{
	name: "gracefulstop",
	doc: `report GracefulStop of a gRPC server without a bound

Wrong:

	srv.GracefulStop()

Right:

	cut := time.AfterFunc(20*time.Second, srv.Stop)
	srv.GracefulStop()
	cut.Stop()

GracefulStop waits for all calls, and takes no context. One stream that its client keeps open holds
it for ever, until the platform kills the process and everything after it is skipped.

It is reported where no other code of the package calls Stop.

Source: https://pkg.go.dev/google.golang.org/grpc#Server.GracefulStop`,
	needs: []string{"google.golang.org/grpc"},
	run: func(p *pass) {
		const grpc = "google.golang.org/grpc"
		var unbounded []*ast.CallExpr
		for c := range p.root.Preorder((*ast.SelectorExpr)(nil)) {
			sel := c.Node().(*ast.SelectorExpr)
			f := p.TypesInfo.Uses[sel.Sel]
			if f == nil || f.Pkg() == nil || !samePackage(f.Pkg().Path(), grpc) || p.isTest(sel) {
				continue
			}
			call, called := c.Parent().Node().(*ast.CallExpr)
			switch {
			case f.Name() == "Stop" && c.Parent().ParentEdgeKind() != edge.DeferStmt_Call:
				return // also one that is handed to somebody who calls it
			case f.Name() == "GracefulStop" && called && c.ParentEdgeKind() == edge.CallExpr_Fun:
				if !p.bounded(c) {
					unbounded = append(unbounded, call)
				}
			}
		}
		for _, call := range unbounded {
			p.report(call, "one stream that stays open holds GracefulStop for ever; "+
				"call Stop after a while")
		}
	},
}

// bounded reports whether c runs in a goroutine that is not waited for without an alternative, or
// below a function that ends the process after a while, or does something else then, or is given to
// a framework that calls it when the process stops, and has a bound for that.
func (p *pass) bounded(c inspector.Cursor) bool {
	for decl := range c.Enclosing((*ast.FuncDecl)(nil)) {
		for call := range decl.Preorder((*ast.CallExpr)(nil)) {
			if p.calls(call.Node().(*ast.CallExpr), "time", "AfterFunc") {
				return true
			}
		}
	}
	for lit := range c.Enclosing((*ast.FuncLit)(nil)) {
		if call, ok := lit.Parent().Node().(*ast.CallExpr); ok && p.stopsProcess(call) {
			return true
		}
	}
	for start := range c.Enclosing((*ast.GoStmt)(nil)) {
		body, _ := function(start)
		for range body.Preorder((*ast.SelectStmt)(nil)) {
			return true
		}
		if p.leftByOuter(start) || p.untold(c, start) {
			return true
		}
	}
	return false
}

// leftByOuter reports whether a function further out may leave the goroutine that start starts: it
// has a select with a channel that the goroutine closes.
func (p *pass) leftByOuter(start inspector.Cursor) bool {
	closes := make(map[types.Object]bool)
	for c := range start.Preorder((*ast.CallExpr)(nil)) {
		call := c.Node().(*ast.CallExpr)
		if p.builtin(call) == "close" {
			closes[p.variable(call.Args[0])] = true
		}
	}
	for decl := range start.Enclosing((*ast.FuncDecl)(nil)) {
		for c := range decl.Preorder((*ast.CommClause)(nil)) {
			from := p.received(c.Node().(*ast.CommClause).Comm)
			others := len(c.Parent().Node().(*ast.BlockStmt).List) > 1
			if from != nil && closes[from] && others {
				return true
			}
		}
	}
	return false
}

// untold reports whether nobody waits for the GracefulStop at c, which the goroutine that start
// starts ends with: the server serves in a goroutine further out, which tells nobody when it ends.
func (p *pass) untold(c, start inspector.Cursor) bool {
	stmt, ok := statement(c)
	if _, more := stmt.NextSibling(); !ok || more {
		return false
	}
	stopped := p.variable(c.Node().(*ast.SelectorExpr).X)
	for outer := range start.Parent().Enclosing((*ast.GoStmt)(nil)) {
		serves := false
		for n := range outer.Preorder((*ast.CallExpr)(nil), (*ast.SendStmt)(nil)) {
			call, ok := n.Node().(*ast.CallExpr)
			if !ok || p.builtin(call) == "close" {
				return false
			}
			recv, name := p.method(call)
			if name == "Done" && !within(start.Node(), call.Pos()) {
				return false
			}
			serves = serves || name == "Serve" && p.variable(recv) == stopped
		}
		return serves
	}
	return false
}

var stopHook = regexp.MustCompile(`(?i)shutdown|hook`)

// stopsProcess goes by the name of what call calls in another package.
func (p *pass) stopsProcess(call *ast.CallExpr) bool {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok || !stopHook.MatchString(sel.Sel.Name) {
		return false
	}
	f := p.TypesInfo.Uses[sel.Sel]
	return f != nil && f.Pkg() != p.Pkg
}
