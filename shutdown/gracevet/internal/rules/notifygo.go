package rules

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/format"
	"slices"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/inspector"
)

var notifygo = rule{
	name: "notifygo",
	doc: `report signal.Notify inside a goroutine

Wrong:

	go func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		<-c
		stop()
	}()

Right:

	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	go func() {
		<-c
		stop()
	}()

Nobody knows when the goroutine first runs. A signal that arrives before it does has its default
effect, the end of the process: nothing is drained.

Source: https://pkg.go.dev/os/signal#hdr-Default_behavior_of_signals_in_Go_programs`,
	needs: []string{"os/signal"},
	run: func(p *pass) {
		ofInit := p.signalsOfInit()
		seen := make(map[ast.Node]bool) // a function may be started in several places
		for g := range p.goroutines(p.root) {
			for _, c := range ownCalls(g.body) {
				call := c.Node().(*ast.CallExpr)
				if !p.calls(call, "os/signal", "Notify", "NotifyContext") ||
					!p.endsProcess(call.Args[1:]) || seen[call] {
					continue
				}
				seen[call] = true
				if p.exitsOnly(g.body, call) {
					continue // as the signal does by itself
				}
				ofStarter := make(map[string]*ast.CallExpr)
				body, _ := function(g.start)
				p.addSignals(ofStarter, ownCalls(body))
				if len(call.Args) > 1 && !slices.ContainsFunc(call.Args[1:], func(e ast.Expr) bool {
					by := cmp.Or(ofInit[p.signalName(e)], ofStarter[p.signalName(e)])
					return by == nil || by == call
				}) {
					continue // the program handles them without this goroutine
				}
				p.report(call, "a signal that arrives before this goroutine runs ends the process; "+
					"register before the go statement", p.moveNotify(g, c)...)
			}
		}
	},
}

// exitsOnly reports whether all that a goroutine calls after the Notify is what ends the process.
func (p *pass) exitsOnly(body inspector.Cursor, notify *ast.CallExpr) (exits bool) {
	for _, c := range ownCalls(body) {
		if call := c.Node().(*ast.CallExpr); call.Pos() > notify.End() {
			if !p.exits(call) {
				return false
			}
			exits = true
		}
	}
	return exits
}

// signalsOfInit maps the names of signals to the calls of Notify that init makes, or a goroutine
// that it starts. These signals no longer end the process later on.
func (p *pass) signalsOfInit() map[string]*ast.CallExpr {
	found := make(map[string]*ast.CallExpr)
	for c := range p.root.Preorder((*ast.FuncDecl)(nil)) {
		if d := c.Node().(*ast.FuncDecl); d.Name.Name != "init" || d.Recv != nil {
			continue
		}
		p.addSignals(found, slices.Collect(c.Preorder((*ast.CallExpr)(nil))))
	}
	return found
}

func (p *pass) addSignals(to map[string]*ast.CallExpr, calls []inspector.Cursor) {
	for _, c := range calls {
		call := c.Node().(*ast.CallExpr)
		if !p.calls(call, "os/signal", "Notify", "NotifyContext") {
			continue
		}
		for _, s := range call.Args[1:] {
			if name := p.signalName(s); name != "" {
				to[name] = call
			}
		}
	}
}

// endsProcess reports whether the default effect of one of the signals is the end of the process.
// No signals are all of them.
func (p *pass) endsProcess(signals []ast.Expr) bool {
	deadly := []string{"Interrupt", "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"}
	return len(signals) == 0 || slices.ContainsFunc(signals, func(e ast.Expr) bool {
		return slices.Contains(deadly, p.signalName(e))
	})
}

// signalName is the name of the variable or constant that e is, in os, syscall or x/sys.
func (p *pass) signalName(e ast.Expr) string {
	if sel, ok := ast.Unparen(e).(*ast.SelectorExpr); ok {
		if obj := p.TypesInfo.Uses[sel.Sel]; obj != nil && obj.Pkg() != nil {
			switch obj.Pkg().Path() {
			case "os", "syscall", "golang.org/x/sys/unix", "golang.org/x/sys/windows":
				return obj.Name()
			}
		}
	}
	return ""
}

// moveNotify moves the call of Notify, and the making of its channel, from the beginning of the
// goroutine to before it. It does so only if no name changes its meaning by that.
func (p *pass) moveNotify(g goroutine, notify inspector.Cursor) []analysis.TextEdit {
	call := notify.Node().(*ast.CallExpr)
	ch, isIdent := call.Args[0].(*ast.Ident)
	start, inList := statement(g.start)
	list := g.body.Node().(*ast.BlockStmt).List
	last := slices.IndexFunc(list, func(s ast.Stmt) bool { return s == notify.Parent().Node() })
	if g.named || !isIdent || !inList || last < 0 || last == len(list)-1 ||
		slices.ContainsFunc(call.Args[1:], func(e ast.Expr) bool { return p.signalName(e) == "" }) {
		return nil
	}
	declared := p.TypesInfo.Uses[ch].Pos()
	switch inside := within(g.body.Parent().Node(), declared); {
	case !inside && last == 0:
	case inside && last == 1:
		made, ok := list[0].(*ast.AssignStmt)
		if !ok || len(made.Lhs) != 1 || made.Lhs[0].Pos() != declared {
			return nil
		}
		if _, ok := p.capacity(made.Rhs[0]); !ok {
			return nil
		}
		if p.taken(ch.Name, start.Node().Pos()) {
			return nil
		}
	default:
		return nil
	}
	var text bytes.Buffer
	for _, s := range list[:last+1] {
		if format.Node(&text, p.Fset, s) != nil {
			return nil
		}
		text.WriteByte('\n')
	}
	return []analysis.TextEdit{
		insert(start.Node().Pos(), text.String()),
		remove(list[0].Pos(), list[last].End()),
	}
}
