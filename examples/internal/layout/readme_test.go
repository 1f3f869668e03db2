package layout

import (
	"cmp"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ .*\n`)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```\n")
	indented = regexp.MustCompile(`(?m)^    .*\n`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	number   = regexp.MustCompile(`\d+(?:[.,]\d+)*`)
	duration = regexp.MustCompile(`\d+(?:\.\d+)?(?:ns|µs|ms)`)
	measured = regexp.MustCompile(`(?s)<!-- bench: [^\n]*? -->\n.*?<!-- /bench -->`)
)

// What a reader can check must be the same in both languages, section by section: code, links,
// tables, names and numbers.
func TestPagesInStep(t *testing.T) {
	for _, name := range []string{"README", "COMPARISON"} {
		t.Run(name, func(t *testing.T) {
			english, chinese := sections(read(t, name+".md")), sections(read(t, name+".zh-CN.md"))
			require.Len(t, chinese, len(english))
			for i, s := range english {
				assert.Equal(t, facts(s), facts(chinese[i]), "beginning with %.60q", s)
			}
		})
	}
}

// sections splits a page at its headings.
func sections(page string) (parts []string) {
	start := 0
	page = fenced.ReplaceAllStringFunc(page, func(block string) string {
		return strings.ReplaceAll(block, "\n#", "\n #")
	})
	for _, at := range heading.FindAllStringIndex(page, -1) {
		parts = append(parts, page[start:at[0]])
		start = at[0]
	}
	return append(parts, page[start:])
}

type sectionFacts struct {
	Level          int // of the heading
	Code, Links    []string
	CellsOfRows    []int
	Names, Numbers []string // sorted: the order of words is the language's
}

func facts(section string) (f sectionFacts) {
	f.Level = len(section) - len(strings.TrimLeft(section, "#"))
	for _, block := range []*regexp.Regexp{fenced, indented} {
		f.Code = append(f.Code, block.FindAllString(section, -1)...)
		section = block.ReplaceAllString(section, "")
	}
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "|") {
			f.CellsOfRows = append(f.CellsOfRows, strings.Count(line, "|"))
		}
	}
	for _, m := range link.FindAllStringSubmatch(section, -1) {
		target, _, _ := strings.Cut(strings.ReplaceAll(m[1], ".zh-CN.md", ".md"), "#")
		f.Links = append(f.Links, target)
	}
	section = link.ReplaceAllString(section, "]")
	f.Names = codeSpan.FindAllString(section, -1)
	f.Numbers = number.FindAllString(codeSpan.ReplaceAllString(section, ""), -1)
	slices.Sort(f.Names)
	slices.Sort(f.Numbers)
	return f
}

// The times in the tables of COMPARISON are those of the recorded run.
func TestFiguresAreRecorded(t *testing.T) {
	recorded := make(map[string]bool)
	results := read(t, "examples/internal/bench/RESULTS.md")
	for _, figure := range duration.FindAllString(results, -1) {
		recorded[figure] = true
	}
	tables := measured.FindAllString(read(t, "COMPARISON.md"), -1)
	assert.NotEmpty(t, tables)
	for _, table := range tables {
		for line := range strings.Lines(table) {
			_, cells, _ := strings.Cut(strings.TrimPrefix(line, "| "), "|") // without the name
			for _, figure := range duration.FindAllString(cells, -1) {
				assert.True(t, recorded[figure], "%s is not in RESULTS.md: %s", figure, line)
			}
		}
	}
}

// Newcomers read the README to the end if it is short.
func TestReadmeIsShort(t *testing.T) {
	assert.LessOrEqual(t, len(strings.Fields(read(t, "README.md"))), 1300, "words")
}

// goBlocks returns the Go code of the README: the one program, and what is shown of each package.
func goBlocks(t *testing.T) (program string, snippets []string) {
	t.Helper()
	for _, block := range fenced.FindAllString(read(t, "README.md"), -1) {
		code, ok := strings.CutPrefix(block, "```go\n")
		code = strings.TrimSuffix(code, "```\n")
		switch {
		case !ok:
		case strings.HasPrefix(code, "package main\n"):
			require.Empty(t, program, "a second program")
			program = code
		default:
			snippets = append(snippets, code)
		}
	}
	require.NotEmpty(t, program)
	return program, snippets
}

// What stands before the snippets: the rest of the program that they are taken from.
const before = `package readme

import (
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gracekit/gracekit/concurrent"
	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/jsonx"
	"github.com/gracekit/gracekit/objectmeta"
	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
	"github.com/gracekit/gracekit/shutdown/systemd"
	"github.com/gracekit/gracekit/signals"
)

var (
	ctx       context.Context
	server    *http.Server
	mux       *http.ServeMux
	r         *http.Request
	t         testing.TB
	listener  net.Listener
	body      io.Reader
	db        *sql.DB
	gs        *shutdown.GracefulShutdown
	worker    interface{ Run(context.Context) error }
	work      func(context.Context)
	reload    func()
	ids       []int64
	load      func(context.Context, int64) (User, error)
	user      User
	random    []byte
	admin     *http.Server
	private   net.Listener
)

type User struct{}

`

func TestReadmeCodeCompiles(t *testing.T) {
	program, snippets := goBlocks(t)
	vet(t, program)

	code := before
	for _, snippet := range snippets {
		code += asDeclarations(t, snippet)
	}
	vet(t, code)

	formatted, err := format.Source([]byte(program))
	require.NoError(t, err)
	assert.Equal(t, string(formatted), program)
}

func vet(t *testing.T, code string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "readme.go")
	require.NoError(t, os.WriteFile(file, []byte(code), 0o600))
	goCommand(t, root, "vet", file)
}

// asDeclarations makes a function of statements, in which every variable counts as used.
func asDeclarations(t *testing.T, snippet string) string {
	t.Helper()
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+snippet, 0); err == nil {
		return snippet
	}
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+snippet+"}", 0)
	require.NoError(t, err, snippet)
	function := file.Decls[0].(*ast.FuncDecl)
	for _, statement := range function.Body.List {
		if assign, ok := statement.(*ast.AssignStmt); ok && assign.Tok == token.DEFINE {
			for _, left := range assign.Lhs {
				snippet += "_ = " + left.(*ast.Ident).Name + "\n"
			}
		}
	}
	return "func _() {\n" + snippet + "}\n\n"
}

func TestLinksOfPagesResolve(t *testing.T) {
	pages := 0
	require.NoError(t, filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != root {
			return cmp.Or(err, fs.SkipDir)
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		pages++
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		prose := codeSpan.ReplaceAllString(fenced.ReplaceAllString(string(text), ""), "")
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue
			}
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), target)
			}
			linked, err := os.Stat(file)
			if assert.NoError(t, err, "a link in %s", name) && anchor != "" && !linked.IsDir() {
				assert.Contains(t, anchors(t, file), anchor, "of %s in a link in %s", file, name)
			}
		}
		return nil
	}))
	assert.Greater(t, pages, 10)
}

// anchors returns the names that GitHub gives to the headings of a page.
func anchors(t *testing.T, file string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, line := range heading.FindAllString(fenced.ReplaceAllString(string(text), ""), -1) {
		name := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		names = append(names, strings.ReplaceAll(notInAnchors.ReplaceAllString(name, ""), " ", "-"))
	}
	return names
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
