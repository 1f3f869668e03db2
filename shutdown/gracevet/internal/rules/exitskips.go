package rules

import (
	"go/ast"
	"go/types"
	"slices"
	"strconv"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

var exitskips = rule{
	name: "exitskips",
	doc: `report log.Fatal and os.Exit that skip deferred functions of the stop

Wrong:

	defer traces.Shutdown(ctx)
	if err := srv.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}

Right, in a function that main calls and whose error it logs:

	defer traces.Shutdown(ctx)
	if err := srv.Shutdown(ctx); err != nil {
		return err
	}

Both end the process on the spot. Deferred functions do not run: what is buffered is not written,
what was registered stays registered, temporary files stay.

Only deferred functions that matter beyond the process are reported: Shutdown, Stop, Flush and the
like, removing files, and the cancel function of the context of a Shutdown that has failed. Closing
what the kernel closes anyway is left out.

Source: https://pkg.go.dev/os#Exit`,
	tests: true,
	run: func(p *pass) {
		for c := range p.root.Preorder((*ast.CallExpr)(nil)) {
			call := c.Node().(*ast.CallExpr)
			if !p.exits(call) {
				continue
			}
			if skipped := p.skipped(c); skipped != nil {
				p.report(call, "the process ends here, and skips the deferred "+
					types.ExprString(skipped.Fun)+" of line "+
					strconv.Itoa(p.Fset.Position(skipped.Pos()).Line))
			}
		}
	},
}

// skipped returns a deferred call that matters and does not run because of exit.
func (p *pass) skipped(exit inspector.Cursor) *ast.CallExpr {
	body, _ := function(exit)
	calls := ownCalls(body)
	for _, c := range calls {
		if c.ParentEdgeKind() != edge.DeferStmt_Call || c.Node().Pos() > exit.Node().Pos() ||
			!c.Parent().Parent().Contains(exit) {
			continue
		}
		for part := range c.Preorder((*ast.CallExpr)(nil)) { // of a deferred literal
			call := part.Node().(*ast.CallExpr)
			if p.matters(call, exit) && !calledBefore(exit, call, calls) {
				return call
			}
		}
	}
	return nil
}

// matters reports whether what call does is missed after the process has ended by exit.
func (p *pass) matters(call *ast.CallExpr, exit inspector.Cursor) bool {
	if p.calls(call, "time", "Timer.Stop", "Ticker.Stop") || p.calls(call, "os/signal", "Stop") {
		return false
	}
	if t := p.TypesInfo.TypeOf(call.Fun); t != nil {
		switch types.TypeString(types.Unalias(t), nil) {
		case "context.CancelFunc", "context.CancelCauseFunc":
			return p.afterShutdown(exit, p.cancelFuncs()[p.variable(call.Fun)])
		}
	}
	f, ok := typeutil.Callee(p.TypesInfo, call).(*types.Func)
	if !ok || f.Pkg() == nil {
		return false
	}
	switch f.Name() {
	case "Shutdown", "GracefulStop", "Stop", "Drain", "StopCPUProfile":
		return true
	case "Remove", "RemoveAll":
		return f.Pkg().Path() == "os"
	case "Flush", "ForceFlush", "Sync":
		// The Fatal of a logger writes what it has.
		return f.Pkg() != typeutil.Callee(p.TypesInfo, exit.Node().(*ast.CallExpr)).Pkg()
	}
	return false
}

// afterShutdown reports whether exit is what the program does if a Shutdown with that context
// fails: the drain ends early.
func (p *pass) afterShutdown(exit inspector.Cursor, ctx place) bool {
	for c := range exit.Enclosing((*ast.IfStmt)(nil)) {
		check := []inspector.Cursor{c}
		if before, ok := c.PrevSibling(); ok {
			if _, ok := before.Node().(*ast.AssignStmt); ok {
				check = append(check, before)
			}
		}
		for _, stmt := range check {
			for call := range stmt.Preorder((*ast.CallExpr)(nil)) {
				call := call.Node().(*ast.CallExpr)
				if _, name := p.method(call); name == "Shutdown" && len(call.Args) > 0 &&
					ctx.root != nil && p.place(call.Args[0]) == ctx {
					return true
				}
			}
		}
	}
	return false
}

// calledBefore reports whether the function that call calls is called in the statements that lead
// to exit, by hand.
func calledBefore(exit inspector.Cursor, call *ast.CallExpr, calls []inspector.Cursor) bool {
	return slices.ContainsFunc(calls, func(c inspector.Cursor) bool {
		n := c.Node().(*ast.CallExpr)
		stmt, ok := statement(c)
		return ok && n.Pos() > call.Pos() && n.Pos() < exit.Node().Pos() &&
			stmt.Parent().Contains(exit) &&
			types.ExprString(n.Fun) == types.ExprString(call.Fun)
	})
}
