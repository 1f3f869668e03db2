package rules

import (
	"bytes"
	"go/ast"
	"go/token"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// newDirectives collects the lines on which a rule is silenced, and reports directives that silence
// nothing because they name no rule or give no reason.
func newDirectives(rules []rule) *analysis.Analyzer {
	const prefix = "//gracevet:ignore"
	find := func(p *analysis.Pass, c *ast.Comment, found silenced) error {
		text, ok := strings.CutPrefix(c.Text, prefix)
		if !ok {
			return nil
		}
		text, _, _ = strings.Cut(text, "//")
		name, reason, _ := strings.Cut(strings.TrimSpace(text), " ")
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == name }) {
			p.Reportf(c.Pos(), "%s: no rule is named %q", prefix, name)
			return nil
		}
		if reason == "" {
			p.Reportf(c.Pos(), "%s %s: the reason is missing", prefix, name)
			return nil
		}
		alone, err := standsAlone(p, c)
		f := p.Fset.File(c.Pos())
		at := line{f, f.Line(c.Pos()), name}
		if alone {
			at.line++
		}
		found[at] = true
		return err
	}
	return &analysis.Analyzer{
		Name: "directives",
		Doc: `report directives that do not say which rule they silence, or why

	signal.Notify(c, os.Kill) //gracevet:ignore sigkill the test's fake delivers it

The directive stands at the end of the line, or on a line of its own above it.`,
		ResultType: reflect.TypeFor[silenced](),
		Run: func(p *analysis.Pass) (any, error) {
			found := make(silenced)
			for _, file := range p.Files {
				for _, group := range file.Comments {
					for _, c := range group.List {
						if err := find(p, c, found); err != nil {
							return nil, err
						}
					}
				}
			}
			return found, nil
		},
	}
}

// A line is where one rule is silent.
type line struct {
	file *token.File
	line int
	rule string
}

type silenced map[line]bool

// standsAlone reports whether nothing is before the comment on its line.
func standsAlone(p *analysis.Pass, c *ast.Comment) (bool, error) {
	at := p.Fset.PositionFor(c.Pos(), false)
	content, err := p.ReadFile(at.Filename)
	if err != nil {
		return false, err
	}
	before := content[:min(at.Offset, len(content))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return len(bytes.TrimSpace(before[start:])) == 0, nil
}
