package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/tools/go/packages"
)

// documentation says where that of the packages falls short: a package without an example of the
// whole of it (commands have none), an exported symbol without a comment, a link that leads
// nowhere.
func documentation() (problems []string, err error) {
	fset := token.NewFileSet()
	mode := packages.NeedName | packages.NeedFiles | packages.NeedTypes | packages.NeedSyntax | packages.NeedImports
	loaded, err := packages.Load(&packages.Config{Mode: mode, Dir: root, Env: plainEnv(), Fset: fset}, "./...")
	if err != nil {
		return nil, err
	}
	links := make(map[*comment.DocLink]string) // and where they stand
	for _, p := range loaded {
		for _, problem := range p.Errors {
			return nil, problem
		}
		name := strings.TrimPrefix(p.PkgPath, module)
		if p.Name != "main" && !isInternal(p.PkgPath) && !hasWholeExample(filepath.Dir(p.GoFiles[0])) {
			problems = append(problems, name+": example_test.go has no func Example")
		}
		for _, symbol := range uncommented(p.Syntax) {
			problems = append(problems, name+": "+symbol+" has no comment")
		}
		docs, err := doc.NewFromFiles(fset, p.Syntax, p.PkgPath, doc.PreserveAST)
		if err != nil {
			return nil, err
		}
		for where, text := range texts(docs) {
			found, stray := linksIn(docs.Parser().Parse(text))
			for _, link := range found {
				links[link] = name + ": " + where
			}
			for _, text := range stray {
				problems = append(problems, fmt.Sprintf("%s: %s: %s is no link", name, where, text))
			}
		}
	}
	dead, err := deadLinks(links)
	return append(problems, dead...), err
}

func plainEnv() []string { return append(os.Environ(), "GOWORK=off", "GOFLAGS=") }

func hasWholeExample(dir string) bool {
	content, err := os.ReadFile(filepath.Join(dir, "example_test.go"))
	return err == nil && wholeExample.Match(content)
}

var wholeExample = regexp.MustCompile(`(?m)^func Example\(\)`)

// uncommented lists the exported symbols, fields and methods of interfaces among them, without a
// comment above or behind. For constants and variables that of their group is enough, for the only
// method of an interface that of the interface.
func uncommented(files []*ast.File) (names []string) {
	check := func(name string, comments ...*ast.CommentGroup) {
		for part := range strings.SplitSeq(name, ".") {
			if !ast.IsExported(part) {
				return
			}
		}
		for _, c := range comments {
			if c.Text() != "" {
				return
			}
		}
		names = append(names, name)
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				name := n.Name.Name
				if n.Recv != nil {
					receiver := strings.TrimLeft(types.ExprString(n.Recv.List[0].Type), "*")
					receiver, _, _ = strings.Cut(receiver, "[")
					name = receiver + "." + name
				}
				check(name, n.Doc)
				return false
			case *ast.GenDecl:
				for _, spec := range n.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						for _, name := range spec.Names {
							check(name.Name, n.Doc, spec.Doc, spec.Comment)
						}
					case *ast.TypeSpec:
						group := n.Doc
						if n.Lparen.IsValid() {
							group = nil
						}
						check(spec.Name.Name, group, spec.Doc, spec.Comment)
						for _, member := range members(spec.Type) {
							for _, name := range member.Names {
								check(spec.Name.Name+"."+name.Name, member.Doc, member.Comment)
							}
						}
					}
				}
				return false
			}
			return true
		})
	}
	return names
}

func members(t ast.Expr) []*ast.Field {
	switch t := t.(type) {
	case *ast.StructType:
		return t.Fields.List
	case *ast.InterfaceType:
		if t.Methods.NumFields() > 1 {
			return t.Methods.List
		}
	}
	return nil
}

// texts are the comments that go doc shows as text, by what they are about.
func texts(p *doc.Package) map[string]string {
	all := map[string]string{"package": p.Doc}
	values := func(list []*doc.Value) {
		for _, v := range list {
			all[strings.Join(v.Names, ", ")] = v.Doc
		}
	}
	funcs := func(of string, list []*doc.Func) {
		for _, f := range list {
			all[of+f.Name] = f.Doc
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs("", p.Funcs)
	for _, t := range p.Types {
		all[t.Name] = t.Doc
		values(t.Consts)
		values(t.Vars)
		funcs("", t.Funcs)
		funcs(t.Name+".", t.Methods)
	}
	return all
}

// brackets that the parser did not take for a link. Behind a name they hold type arguments.
var brackets = regexp.MustCompile(`(?:^|[^\w\]])(\[\*?(?:[a-z][\w/]*\.)?[A-Z]\w*(?:\.\w+)?\])`)

// linksIn returns the links of a comment, and what was meant to be one and is none.
func linksIn(d *comment.Doc) (links []*comment.DocLink, stray []string) {
	text := func(s string) {
		for _, match := range brackets.FindAllStringSubmatch(s, -1) {
			stray = append(stray, match[1])
		}
	}
	inline := func(list []comment.Text) {
		for _, t := range list {
			switch t := t.(type) {
			case comment.Plain:
				text(string(t))
			case *comment.DocLink:
				links = append(links, t)
			}
		}
	}
	var blocks func([]comment.Block)
	blocks = func(list []comment.Block) {
		for _, b := range list {
			switch b := b.(type) {
			case *comment.Paragraph:
				inline(b.Text)
			case *comment.Heading:
				inline(b.Text)
			case *comment.Code:
				for line := range strings.Lines(b.Text) {
					if !strings.HasPrefix(line, "[") { // as the sections of a unit file do
						text(line)
					}
				}
			case *comment.List:
				for _, item := range b.Items {
					blocks(item.Content)
				}
			}
		}
	}
	blocks(d.Content)
	return links, stray
}

// deadLinks lists those to another package in which there is no such thing; one to its own package
// would not be a link.
func deadLinks(links map[*comment.DocLink]string) (problems []string, err error) {
	var paths []string
	for link := range links {
		if link.ImportPath != "" {
			paths = append(paths, link.ImportPath)
		}
	}
	loaded, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedTypes, Dir: root, Env: plainEnv()}, paths...)
	if err != nil {
		return nil, err
	}
	scopes := make(map[string]*types.Package)
	for _, p := range loaded {
		scopes[p.PkgPath] = p.Types
	}
	for link, where := range links {
		if link.ImportPath != "" && !has(scopes[link.ImportPath], link) {
			problems = append(problems, fmt.Sprintf("%s: a link leads nowhere: %s", where, link.DefaultURL("")))
		}
	}
	return problems, nil
}

func has(pkg *types.Package, link *comment.DocLink) bool {
	name := link.Recv
	if name == "" {
		name = link.Name
	}
	if pkg == nil || name == "" {
		return pkg != nil && pkg.Scope().Len() > 0
	}
	object := pkg.Scope().Lookup(name)
	if object == nil || link.Recv == "" {
		return object != nil
	}
	member, _, _ := types.LookupFieldOrMethod(object.Type(), true, pkg, link.Name)
	return member != nil
}
