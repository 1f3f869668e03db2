package rules

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

var selfshutdown = rule{
	name: "selfshutdown",
	doc: `report a handler that calls Shutdown and waits for it

Wrong:

	mux.HandleFunc("/quit", func(w http.ResponseWriter, r *http.Request) {
		srv.Shutdown(context.Background())
	})

Right:

	mux.HandleFunc("/quit", func(w http.ResponseWriter, r *http.Request) {
		stop() // main waits for it, and calls Shutdown
	})

Shutdown waits for the requests in flight. The handler's own is one of them, so both wait for each
other until the context ends.

Source: https://pkg.go.dev/net/http#Server.Shutdown`,
	needs: []string{"net/http"},
	run: func(p *pass) {
		for c := range p.root.Preorder((*ast.CallExpr)(nil)) {
			call := c.Node().(*ast.CallExpr)
			_, fn := function(c)
			if p.calls(call, "net/http", "Server.Shutdown") && fn != nil && p.isHandler(fn) &&
				c.ParentEdgeKind() != edge.GoStmt_Call {
				p.report(call, "Shutdown waits for the request of this handler, which waits for "+
					"Shutdown", p.inBackground(c)...)
			}
		}
	},
}

// isHandler reports whether fn handles requests of net/http, gin or echo.
func (p *pass) isHandler(fn ast.Node) bool {
	var sig *types.Signature
	switch fn := fn.(type) {
	case *ast.FuncLit:
		sig, _ = p.TypesInfo.TypeOf(fn).(*types.Signature)
	case *ast.FuncDecl:
		sig = p.TypesInfo.Defs[fn.Name].(*types.Func).Signature()
	}
	if sig == nil {
		return false
	}
	var params []string
	for v := range sig.Params().Variables() {
		params = append(params, types.TypeString(v.Type(), nil))
	}
	switch text := strings.Join(params, ", "); {
	case text == "net/http.ResponseWriter, *net/http.Request",
		text == "*github.com/gin-gonic/gin.Context",
		strings.HasPrefix(text, "github.com/labstack/echo/") && strings.HasSuffix(text, ".Context"):
		return true
	}
	return false
}

// inBackground starts a goroutine, if nothing depends on the call and its context outlives the
// handler.
func (p *pass) inBackground(c inspector.Cursor) []analysis.TextEdit {
	call := c.Node().(*ast.CallExpr)
	arg, ok := ast.Unparen(call.Args[0]).(*ast.CallExpr)
	if ok && c.ParentEdgeKind() == edge.ExprStmt_X && p.calls(arg, "context", "Background", "TODO") {
		return []analysis.TextEdit{insert(call.Pos(), "go ")}
	}
	return nil
}
