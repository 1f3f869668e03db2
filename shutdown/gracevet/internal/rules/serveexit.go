package rules

import (
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

var serveexit = rule{
	name: "serveexit",
	doc: `report programs that leave as soon as ListenAndServe returns

Wrong:

	go func() {
		<-quit
		srv.Shutdown(ctx)
	}()
	log.Fatal(srv.ListenAndServe())

Right:

	drained := make(chan error, 1)
	go func() {
		<-quit
		drained <- srv.Shutdown(ctx)
	}()
	if err := srv.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return <-drained

ListenAndServe and Serve return http.ErrServerClosed when Shutdown begins, not when it is done. A
main that returns then, or takes that error for a failure and exits, ends the process while requests
are still being answered.

Source: https://pkg.go.dev/net/http#Server.Shutdown`,
	needs: []string{"net/http"},
	run: func(p *pass) {
		shutdowns := p.shutdowns()
		for c := range p.root.Preorder((*ast.CallExpr)(nil)) {
			call := c.Node().(*ast.CallExpr)
			if !p.calls(call, "net/http", "Server.ListenAndServe", "Server.ListenAndServeTLS",
				"Server.Serve", "Server.ServeTLS") {
				continue
			}
			recv, _ := p.method(call)
			switch srv := p.place(recv); {
			case srv.root == nil || !shutdowns[p.variable(recv)]:
			case p.fatal(c):
				p.report(call, "the process exits as soon as Shutdown begins, because this then returns "+
					"http.ErrServerClosed")
			case p.leaves(c, srv):
				p.report(call, "this returns as soon as Shutdown begins; wait for Shutdown to return "+
					"before you leave")
			}
		}
	},
}

// shutdowns collects the variables and fields with the servers that the package calls Shutdown of.
func (p *pass) shutdowns() map[types.Object]bool {
	found := make(map[types.Object]bool)
	for c := range p.root.Preorder((*ast.CallExpr)(nil)) {
		call := c.Node().(*ast.CallExpr)
		if p.calls(call, "net/http", "Server.Shutdown") && !p.isTest(call) {
			recv, _ := p.method(call)
			if v := p.variable(recv); v != nil {
				found[v] = true
			}
		}
	}
	return found
}

// fatal reports whether any error of the call at c ends the process, http.ErrServerClosed too.
func (p *pass) fatal(c inspector.Cursor) bool {
	if c.ParentEdgeKind() == edge.CallExpr_Args {
		return p.exits(c.Parent().Node().(*ast.CallExpr)) // log.Fatal(srv.ListenAndServe())
	}
	if c.ParentEdgeKind() != edge.AssignStmt_Rhs {
		return false
	}
	check := c.Parent().Parent() // if err := srv.ListenAndServe(); err != nil {
	if c.Parent().ParentEdgeKind() != edge.IfStmt_Init {
		next, ok := c.Parent().NextSibling() // err := srv.ListenAndServe(), and then the if
		if !ok {
			return false
		}
		check = next
	}
	stmt, ok := check.Node().(*ast.IfStmt)
	if !ok || !isNotNil(stmt.Cond) {
		return false
	}
	for id := range check.Preorder((*ast.Ident)(nil)) {
		if id.Node().(*ast.Ident).Name == "ErrServerClosed" {
			return false
		}
	}
	for _, call := range ownCalls(check.Child(stmt.Body)) {
		if p.exits(call.Node().(*ast.CallExpr)) {
			return true
		}
	}
	return false
}

func isNotNil(cond ast.Expr) bool {
	b, ok := cond.(*ast.BinaryExpr)
	if !ok || b.Op != token.NEQ {
		return false
	}
	id, ok := b.Y.(*ast.Ident)
	return ok && id.Name == "nil"
}

// leaves reports whether the function around c, which serves srv, does not wait for the goroutine
// it has started to call Shutdown.
func (p *pass) leaves(c inspector.Cursor, srv place) bool {
	body, fn := function(c)
	decl, ok := fn.(*ast.FuncDecl)
	if !ok || p.waits(body, c) || p.goesOn(decl) {
		return false
	}
	for g := range p.goroutines(body) {
		for call := range g.body.Preorder((*ast.CallExpr)(nil)) {
			call := call.Node().(*ast.CallExpr)
			recv, _ := p.method(call)
			if p.calls(call, "net/http", "Server.Shutdown") && p.place(recv) == srv {
				return true
			}
		}
	}
	return false
}

// goesOn reports whether the program goes on after decl, which serves, has returned: several
// functions of the package start it as a goroutine, so that it can be started anew, or it serves
// for the time of one request, whose context it is given.
func (p *pass) goesOn(decl *ast.FuncDecl) bool {
	starters := make(map[ast.Node]bool)
	calls, requests := 0, 0
	for c := range p.root.Preorder((*ast.CallExpr)(nil)) {
		call := c.Node().(*ast.CallExpr)
		f := typeutil.Callee(p.TypesInfo, call)
		if f == nil || f != p.TypesInfo.Defs[decl.Name] || p.isTest(call) {
			continue
		}
		calls++
		if slices.ContainsFunc(call.Args, func(arg ast.Expr) bool { return p.ofRequest(c, arg) }) {
			requests++
		}
		if c.ParentEdgeKind() == edge.GoStmt_Call {
			for from := range c.Enclosing((*ast.FuncDecl)(nil)) {
				starters[from.Node()] = true
			}
		}
	}
	return len(starters) > 1 || calls > 0 && calls == requests
}

// ofRequest reports whether arg, of the call at c, is a variable with what the method Context has
// returned, of a request or a stream.
func (p *pass) ofRequest(c inspector.Cursor, arg ast.Expr) bool {
	v := p.variable(arg)
	body, _ := function(c)
	for c := range body.Preorder((*ast.AssignStmt)(nil)) {
		assign := c.Node().(*ast.AssignStmt)
		if v == nil || len(assign.Lhs) != 1 || p.variable(assign.Lhs[0]) != v {
			continue
		}
		call, ok := assign.Rhs[0].(*ast.CallExpr)
		if !ok {
			return false
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Context" && len(call.Args) == 0
	}
	return false
}

var waiting = regexp.MustCompile(`(?i)wait|shutdown|stop|drain|sleep|join|clean`)

// waits reports whether a function may wait for something after c. It goes by names where it calls
// other functions.
func (p *pass) waits(body, c inspector.Cursor) (found bool) {
	own(body, func(at inspector.Cursor) {
		deferred := false
		for range at.Enclosing((*ast.DeferStmt)(nil)) {
			deferred = true
		}
		if at.Node().Pos() < c.Node().End() && !deferred {
			return
		}
		switch n := at.Node().(type) {
		case *ast.UnaryExpr:
			found = found || n.Op == token.ARROW
		case *ast.SelectStmt:
			found = true
		case *ast.RangeStmt:
			_, isChan := p.TypesInfo.TypeOf(n.X).Underlying().(*types.Chan)
			found = found || isChan
		case *ast.CallExpr:
			found = found || waiting.MatchString(types.ExprString(n.Fun))
		}
	}, (*ast.UnaryExpr)(nil), (*ast.SelectStmt)(nil), (*ast.RangeStmt)(nil), (*ast.CallExpr)(nil))
	return found
}
