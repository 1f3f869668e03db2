package rules

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

var errchan = rule{
	name: "errchan",
	doc: `report channels of errors that leave goroutines behind

Wrong:

	errs := make(chan error, 1)
	for _, user := range users {
		go func() {
			if err := load(user); err != nil {
				errs <- err
			}
		}()
	}
	select {
	case err := <-errs:
		return err
	case <-finished:
		return nil
	}

Right:

	errs := make(chan error, len(users))

Each of the goroutines may send an error, and only one is received. One more has a place in the
channel; all others wait for ever, with all they hold. The same happens to a single goroutine and
an unbuffered channel, if the select takes another case:

	errs := make(chan error) // right: make(chan error, 1)
	go func() { errs <- work() }()
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}

Source: https://go.dev/blog/pipelines`,
	run: func(p *pass) {
		for c := range p.root.Preorder((*ast.AssignStmt)(nil)) {
			assign := c.Node().(*ast.AssignStmt)
			if assign.Tok != token.DEFINE || len(assign.Lhs) != 1 {
				continue
			}
			room, ok := p.capacity(assign.Rhs[0])
			if v := p.variable(assign.Lhs[0]); ok && v != nil && isErrors(v.Type()) {
				p.checkErrors(c, v, room)
			}
		}
	},
}

func isErrors(t types.Type) bool {
	c, ok := t.Underlying().(*types.Chan)
	return ok && types.Identical(c.Elem(), types.Universe.Lookup("error").Type())
}

// checkErrors looks at all uses of the channel v, which is made by defined, with a buffer of room.
func (p *pass) checkErrors(defined inspector.Cursor, v types.Object, room int64) {
	body, fn := function(defined)
	if fn == nil || p.isMain(fn) {
		return // what main leaves behind ends with the process
	}
	senders := make(map[ast.Node]bool) // the go statements, and whether they stand in a loop
	var receives []inspector.Cursor
	for c := range body.Preorder((*ast.Ident)(nil)) {
		if p.TypesInfo.Uses[c.Node().(*ast.Ident)] != v {
			continue
		}
		switch c.ParentEdgeKind() {
		case edge.SendStmt_Chan:
			if send := c.Parent(); !p.mayGiveUp(send) {
				start, ok := p.startOf(send, body)
				if !ok || p.fewTimes(start, body) {
					return
				}
				senders[start.Node()] = inLoop(start, body)
			}
		case edge.UnaryExpr_X:
			if in, _ := function(c); in != body || inLoop(c, body) {
				return
			}
			receives = append(receives, c.Parent())
		case edge.CallExpr_Args: // close, len, cap
			call := c.Parent().Node().(*ast.CallExpr)
			if p.builtin(call) == "" {
				return
			}
		default:
			return // it is handed on, or received from in a loop
		}
	}
	many := false
	for _, looped := range senders {
		many = many || looped
	}
	made := defined.Node().(*ast.AssignStmt).Rhs[0]
	switch {
	case many && room <= 1 && len(receives) <= 1:
		p.report(made, "the goroutines of a loop send here, and one error is received: "+
			"further senders wait for ever")
	case !many && int64(len(senders)) > room && len(receives) == 1 && p.mayGiveUp(receives[0]) &&
		!p.othersFollow(receives[0], body, v):
		var fix []analysis.TextEdit
		if len(senders) == 1 {
			fix = buffer(made)
		}
		p.report(made, "if the select takes another case, the sender waits for ever; "+
			"make room for its error", fix...)
	}
}

// startOf finds where the goroutine is started that c is in. It must not be in a loop there,
// because then its goroutine sends more than once.
func (p *pass) startOf(c, body inspector.Cursor) (start inspector.Cursor, ok bool) {
	for g := range p.goroutines(body) { // the last one is the innermost
		if !g.named && g.body.Contains(c) {
			start, ok = g.start, !inLoop(c, g.body)
		}
	}
	return start, ok
}

// inLoop reports whether c stands in a loop inside of body.
func inLoop(c, body inspector.Cursor) bool {
	for loop := range c.Enclosing((*ast.ForStmt)(nil), (*ast.RangeStmt)(nil)) {
		if body.Contains(loop) {
			return true
		}
	}
	return false
}

// fewTimes reports whether c stands in a loop inside of body that runs as often as a constant says.
// Whoever writes that can count what is sent.
func (p *pass) fewTimes(c, body inspector.Cursor) bool {
	for loop := range c.Enclosing((*ast.ForStmt)(nil), (*ast.RangeStmt)(nil)) {
		var times ast.Expr
		switch n := loop.Node().(type) {
		case *ast.RangeStmt:
			times = n.X
		case *ast.ForStmt:
			if cond, ok := n.Cond.(*ast.BinaryExpr); ok {
				times = cond.Y
			}
		}
		if times != nil && body.Contains(loop) && p.TypesInfo.Types[times].Value != nil {
			return true
		}
	}
	return false
}

// mayGiveUp reports whether the send or receive at c is one of several cases of a select, of which
// no other ends the process.
func (p *pass) mayGiveUp(c inspector.Cursor) bool {
	for clause := range c.Enclosing((*ast.CommClause)(nil)) {
		comm := clause.Node().(*ast.CommClause).Comm
		if comm == nil || !within(comm, c.Node().Pos()) {
			return false
		}
		for _, call := range ownCalls(clause.Parent()) {
			if p.exits(call.Node().(*ast.CallExpr)) {
				return false
			}
		}
		return len(clause.Parent().Node().(*ast.BlockStmt).List) > 1
	}
	return false
}

// othersFollow reports whether the other cases of the select around receive come from channels that
// only the goroutine that sends to v sends to, and after that. If it has an error, they never come.
func (p *pass) othersFollow(receive, body inspector.Cursor, v types.Object) bool {
	sends := make(map[types.Object][]inspector.Cursor)
	for c := range body.Preorder((*ast.SendStmt)(nil)) {
		to := p.variable(c.Node().(*ast.SendStmt).Chan)
		sends[to] = append(sends[to], c)
	}
	if len(sends[v]) != 1 {
		return false
	}
	start, _ := p.startOf(sends[v][0], body)
	for clause := range receive.Enclosing((*ast.CommClause)(nil)) {
		for other := range clause.Parent().Children() {
			if other == clause {
				continue
			}
			from := p.received(other.Node().(*ast.CommClause).Comm)
			if from == nil || !within(body.Node(), from.Pos()) || len(sends[from]) == 0 ||
				p.handedOn(from, body) {
				return false
			}
			for _, c := range sends[from] {
				if !start.Contains(c) || c.Node().Pos() < sends[v][0].Node().Pos() {
					return false
				}
			}
		}
		return true
	}
	return false
}

// received is the variable with the channel that a case of a select receives from, or nil.
func (p *pass) received(comm ast.Stmt) types.Object {
	var e ast.Expr
	switch s := comm.(type) {
	case *ast.ExprStmt:
		e = s.X
	case *ast.AssignStmt:
		e = s.Rhs[0]
	}
	if u, ok := e.(*ast.UnaryExpr); ok && u.Op == token.ARROW {
		return p.variable(u.X)
	}
	return nil
}

// handedOn reports whether the channel v is used below body for more than to send and to receive.
func (p *pass) handedOn(v types.Object, body inspector.Cursor) bool {
	for c := range body.Preorder((*ast.Ident)(nil)) {
		if p.TypesInfo.Uses[c.Node().(*ast.Ident)] == v &&
			c.ParentEdgeKind() != edge.SendStmt_Chan && c.ParentEdgeKind() != edge.UnaryExpr_X {
			return true
		}
	}
	return false
}
