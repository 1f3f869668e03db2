package rules

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"iter"
	"slices"
	"strings"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

// calls reports whether call is of the function pkg.name, or of the method if name is Type.Method.
// A package is also found below a vendor directory, and a method behind an embedded field.
func (p *pass) calls(call *ast.CallExpr, pkg string, names ...string) bool {
	f, ok := typeutil.Callee(p.TypesInfo, call).(*types.Func)
	if !ok || f.Pkg() == nil || !samePackage(f.Pkg().Path(), pkg) {
		return false
	}
	name := f.Name()
	if recv := f.Signature().Recv(); recv != nil {
		t := recv.Type()
		if ptr, ok := t.(*types.Pointer); ok {
			t = ptr.Elem()
		}
		named, ok := types.Unalias(t).(*types.Named)
		if !ok {
			return false
		}
		name = named.Obj().Name() + "." + name
	}
	return slices.Contains(names, name)
}

func samePackage(path, want string) bool {
	return path == want || strings.HasSuffix(path, "/vendor/"+want)
}

// method is the name of the method that is called, and its receiver; "" if it is something else.
func (p *pass) method(call *ast.CallExpr) (recv ast.Expr, name string) {
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
		if s := p.TypesInfo.Selections[sel]; s != nil && s.Kind() == types.MethodVal {
			return sel.X, sel.Sel.Name
		}
	}
	return nil, ""
}

// A place is a variable, or a field of one: two expressions with the same place mean the same value
// as long as nothing is assigned to it.
type place struct {
	root types.Object
	path string
}

// place returns the zero place for what is neither.
func (p *pass) place(e ast.Expr) place {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if v, ok := p.TypesInfo.ObjectOf(e).(*types.Var); ok {
			return place{root: v}
		}
	case *ast.SelectorExpr:
		if v, ok := p.TypesInfo.ObjectOf(e.Sel).(*types.Var); ok {
			if !v.IsField() {
				return place{root: v} // of another package
			}
			if of := p.place(e.X); of.root != nil {
				return place{of.root, of.path + "." + v.Name()}
			}
		}
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			return p.place(e.X)
		}
	case *ast.StarExpr:
		return p.place(e.X)
	}
	return place{}
}

// A goroutine is a function that is started as one.
type goroutine struct {
	start inspector.Cursor // the go statement, or the call of g.Go
	body  inspector.Cursor // of a function literal, or of a function declared in the package
	named bool             // it is the latter
}

// goroutines finds go statements and calls of the method Go of sync.WaitGroup and of an errgroup.
func (p *pass) goroutines(below inspector.Cursor) iter.Seq[goroutine] {
	return func(yield func(goroutine) bool) {
		for c := range below.Preorder((*ast.GoStmt)(nil), (*ast.CallExpr)(nil)) {
			var fun inspector.Cursor
			switch n := c.Node().(type) {
			case *ast.GoStmt:
				fun = c.Child(n.Call).Child(n.Call.Fun)
			case *ast.CallExpr:
				if len(n.Args) != 1 || !p.calls(n, "sync", "WaitGroup.Go") &&
					!p.calls(n, "golang.org/x/sync/errgroup", "Group.Go") {
					continue
				}
				fun = c.Child(n.Args[0])
			}
			if lit, ok := fun.Node().(*ast.FuncLit); ok {
				if !yield(goroutine{c, fun.Child(lit.Body), false}) {
					return
				}
				continue
			}
			body, ok := p.bodyOf(fun.Node().(ast.Expr))
			if !ok || p.isTest(c.Node()) && !p.isTest(body.Node()) {
				continue // programs may call directly what a test starts as a goroutine
			}
			if !yield(goroutine{c, body, true}) {
				return
			}
		}
	}
}

// bodyOf finds the body of a function or method that is declared in the package.
func (p *pass) bodyOf(fun ast.Expr) (body inspector.Cursor, ok bool) {
	var id *ast.Ident
	switch fun := ast.Unparen(fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return body, false
	}
	f, ok := p.TypesInfo.Uses[id].(*types.Func)
	if !ok || f.Pkg() != p.Pkg {
		return body, false
	}
	for file := range p.root.Children() {
		if file.Node().Pos() > f.Pos() || f.Pos() > file.Node().End() {
			continue
		}
		for decl := range file.Children() {
			d, ok := decl.Node().(*ast.FuncDecl)
			if ok && d.Name.Pos() == f.Pos() && d.Body != nil {
				return decl.Child(d.Body), true
			}
		}
	}
	return body, false
}

// own calls visit for the nodes of the types below body that run in the same call of the function:
// all but those in function literals, unless these are deferred or called on the spot.
func own(body inspector.Cursor, visit func(inspector.Cursor), nodes ...ast.Node) {
	body.Inspect(append(nodes, (*ast.FuncLit)(nil)), func(c inspector.Cursor) bool {
		if _, ok := c.Node().(*ast.FuncLit); ok {
			return c.ParentEdgeKind() == edge.CallExpr_Fun &&
				c.Parent().ParentEdgeKind() != edge.GoStmt_Call
		}
		visit(c)
		return true
	})
}

// ownCalls collects the calls below body as own does.
func ownCalls(body inspector.Cursor) (calls []inspector.Cursor) {
	own(body, func(c inspector.Cursor) { calls = append(calls, c) }, (*ast.CallExpr)(nil))
	return calls
}

// function returns the body of the innermost function around c, and its literal or declaration.
func function(c inspector.Cursor) (body inspector.Cursor, fn ast.Node) {
	for f := range c.Enclosing((*ast.FuncDecl)(nil), (*ast.FuncLit)(nil)) {
		switch n := f.Node().(type) {
		case *ast.FuncDecl:
			if n.Body != nil {
				return f.Child(n.Body), n
			}
		case *ast.FuncLit:
			return f.Child(n.Body), n
		}
	}
	return c, nil
}

func within(n ast.Node, at token.Pos) bool { return n.Pos() <= at && at < n.End() }

func (p *pass) isTest(n ast.Node) bool {
	return strings.HasSuffix(p.Fset.File(n.Pos()).Name(), "_test.go")
}

// taken reports whether name means something at n, or after it in the same function.
func (p *pass) taken(name string, at token.Pos) bool {
	_, obj := p.Pkg.Scope().Innermost(at).LookupParent(name, token.NoPos)
	return obj != nil
}

// isMain reports whether fn is the main of a program.
func (p *pass) isMain(fn ast.Node) bool {
	d, ok := fn.(*ast.FuncDecl)
	return ok && d.Recv == nil && d.Name.Name == "main" && p.Pkg.Name() == "main"
}

// statement returns the statement around c that stands in a list of statements.
func statement(c inspector.Cursor) (inspector.Cursor, bool) {
	for ; c.Valid() && c.Node() != nil; c = c.Parent() {
		switch c.ParentEdgeKind() {
		case edge.BlockStmt_List, edge.CaseClause_Body, edge.CommClause_Body:
			return c, true
		}
	}
	return c, false
}

// int returns the value of a constant expression.
func (p *pass) int(e ast.Expr) (int64, bool) {
	if v := p.TypesInfo.Types[e].Value; v != nil {
		return constant.Int64Val(constant.ToInt(v))
	}
	return 0, false
}

// capacity returns that of a channel made by e, if e is a call of make and it is known.
func (p *pass) capacity(e ast.Expr) (n int64, ok bool) {
	call, isCall := ast.Unparen(e).(*ast.CallExpr)
	if !isCall {
		return 0, false
	}
	if p.builtin(call) != "make" {
		return 0, false
	}
	if _, isChan := p.TypesInfo.TypeOf(call).Underlying().(*types.Chan); !isChan {
		return 0, false
	}
	if len(call.Args) == 1 {
		return 0, true
	}
	return p.int(call.Args[1])
}

// builtin returns the name of the built-in function that call calls, or "".
func (p *pass) builtin(call *ast.CallExpr) string {
	if b, ok := typeutil.Callee(p.TypesInfo, call).(*types.Builtin); ok {
		return b.Name()
	}
	return ""
}

// exits reports whether call ends the process: os.Exit, or the Fatal of a logger.
func (p *pass) exits(call *ast.CallExpr) bool {
	f, ok := typeutil.Callee(p.TypesInfo, call).(*types.Func)
	if !ok || f.Pkg() == nil {
		return false
	}
	switch f.Name() {
	case "Exit":
		return f.Pkg().Path() == "os"
	case "Fatal", "Fatalf", "Fatalln", "Fatalw":
		return !isTestLogger(f)
	}
	return false
}

// isTestLogger reports whether f is a method of something like testing.TB, whose Fatal ends a test.
func isTestLogger(f *types.Func) bool {
	recv := f.Signature().Recv()
	if recv == nil {
		return false
	}
	for _, name := range []string{"Helper", "FailNow"} {
		if obj, _, _ := types.LookupFieldOrMethod(recv.Type(), true, f.Pkg(), name); obj != nil {
			return true
		}
	}
	return false
}
