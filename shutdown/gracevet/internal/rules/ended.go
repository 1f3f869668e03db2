package rules

import (
	"go/ast"
	"go/token"
	"go/types"
	"iter"
	"math"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

// usesOfEnded finds the calls whose first argument is a context that has ended by then for sure:
// its end was waited for or seen, or its cancel function was called.
func (p *pass) usesOfEnded() iter.Seq[*ast.CallExpr] {
	return func(yield func(*ast.CallExpr) bool) {
		cancels := p.cancelFuncs()
		seen := make(map[*ast.CallExpr]bool) // a context may end in several ways
		ends := []ast.Node{(*ast.UnaryExpr)(nil), (*ast.CallExpr)(nil), (*ast.IfStmt)(nil)}
		for c := range p.root.Preorder(ends...) {
			ctx, rest := p.endOf(c, cancels)
			until := token.Pos(math.MaxInt) // where the variable gets another context
			for _, s := range rest {
				for use := range s.Preorder((*ast.CallExpr)(nil), (*ast.AssignStmt)(nil)) {
					switch n := use.Node().(type) {
					case *ast.AssignStmt:
						if p.assigns(n, ctx) {
							until = min(until, n.End())
						}
					case *ast.CallExpr:
						if len(n.Args) == 0 || ctx.root == nil || p.place(n.Args[0]) != ctx ||
							n.Pos() > until || seen[n] {
							continue
						}
						seen[n] = true
						if !yield(n) {
							return
						}
					}
				}
			}
		}
	}
}

// endOf says which context has ended after c, and in which statements. It is the zero place if none
// has.
func (p *pass) endOf(
	c inspector.Cursor, cancels map[types.Object]place,
) (ctx place, rest []inspector.Cursor) {
	switch n := c.Node().(type) {
	case *ast.UnaryExpr: // <-ctx.Done()
		done, ok := ast.Unparen(n.X).(*ast.CallExpr)
		if n.Op != token.ARROW || !ok || c.ParentEdgeKind() != edge.ExprStmt_X {
			return place{}, nil
		}
		rest := following(c.Parent())
		if clause := c.Parent().Parent(); c.Parent().ParentEdgeKind() == edge.CommClause_Comm {
			if len(clause.Parent().Node().(*ast.BlockStmt).List) == 1 { // the only case
				rest = append(rest, following(clause.Parent().Parent())...)
			}
		}
		return p.contextOf(done, "Done"), rest
	case *ast.CallExpr: // cancel()
		id, ok := n.Fun.(*ast.Ident)
		if ok && c.ParentEdgeKind() == edge.ExprStmt_X && !p.onPurpose(c.Parent()) {
			return cancels[p.TypesInfo.Uses[id]], following(c.Parent())
		}
	case *ast.IfStmt: // if ctx.Err() != nil
		if cond, ok := n.Cond.(*ast.BinaryExpr); ok && cond.Op == token.NEQ {
			if call, ok := cond.X.(*ast.CallExpr); ok {
				return p.contextOf(call, "Err"), []inspector.Cursor{c.Child(n.Body)}
			}
		}
	}
	return place{}, nil
}

// onPurpose reports whether s cancels what the statement before it has just made, without a
// timeout. That is how to write a context that has ended, for a Shutdown that is not to wait.
func (p *pass) onPurpose(s inspector.Cursor) bool {
	before, ok := s.PrevSibling()
	if !ok {
		return false
	}
	assign, ok := before.Node().(*ast.AssignStmt)
	if !ok || len(assign.Lhs) != 2 || len(assign.Rhs) != 1 {
		return false
	}
	call, ok := assign.Rhs[0].(*ast.CallExpr)
	return ok && p.calls(call, "context", "WithCancel", "WithCancelCause") &&
		p.place(assign.Lhs[1]) == p.place(s.Node().(*ast.ExprStmt).X.(*ast.CallExpr).Fun)
}

// following collects the statements after s in its list.
func following(s inspector.Cursor) (rest []inspector.Cursor) {
	for s, ok := s.NextSibling(); ok; s, ok = s.NextSibling() {
		rest = append(rest, s)
	}
	return rest
}

// contextOf returns the context whose method call calls.
func (p *pass) contextOf(call *ast.CallExpr, method string) place {
	if p.calls(call, "context", "Context."+method) {
		recv, _ := p.method(call)
		return p.place(recv)
	}
	return place{}
}

// cancelFuncs maps each variable with a cancel function to its context, if it never gets another.
func (p *pass) cancelFuncs() map[types.Object]place {
	found := make(map[types.Object]place)
	for c := range p.root.Preorder((*ast.AssignStmt)(nil)) {
		assign := c.Node().(*ast.AssignStmt)
		for _, result := range assign.Lhs {
			id, ok := result.(*ast.Ident)
			if !ok {
				continue
			}
			v := p.TypesInfo.ObjectOf(id)
			if v == nil || !isFunc(v.Type()) {
				continue
			}
			_, again := found[v]
			found[v] = place{}
			call, ok := assign.Rhs[0].(*ast.CallExpr)
			if ok && len(assign.Lhs) == 2 && !again && p.derives(call) {
				found[v] = p.place(assign.Lhs[0])
			}
		}
	}
	return found
}

func isFunc(t types.Type) bool {
	_, ok := t.Underlying().(*types.Signature)
	return ok
}

// derives reports whether call makes a context from another one.
func (p *pass) derives(call *ast.CallExpr) bool {
	return p.bounds(call) || p.calls(call, "context", "WithCancel", "WithCancelCause") ||
		p.calls(call, "os/signal", "NotifyContext")
}

// bounds reports whether call makes a context with a deadline.
func (p *pass) bounds(call *ast.CallExpr) bool {
	return p.calls(call, "context",
		"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause")
}

func (p *pass) assigns(a *ast.AssignStmt, to place) bool {
	for _, left := range a.Lhs {
		if p.place(left) == to {
			return true
		}
	}
	return false
}
