package layout

import (
	"cmp"
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
)

// What a reader can check must be the same in both languages, section by section: code, links, tables, names and numbers.
func TestReadmesInStep(t *testing.T) {
	english, chinese := sections(read(t, "README.md")), sections(read(t, "README.zh-CN.md"))
	require.Len(t, chinese, len(english))
	for i, s := range english {
		assert.Equal(t, facts(s), facts(chinese[i]), "beginning with %.60q", s)
	}
}

// sections splits a page at its headings.
func sections(page string) (parts []string) {
	start := 0
	page = fenced.ReplaceAllStringFunc(page, func(block string) string { return strings.ReplaceAll(block, "\n#", "\n #") })
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
		target := strings.Replace(m[1], "/lang/zh-CN/", "", 1)
		target = strings.Replace(target, "README.zh-CN.md", "README.md", 1)
		if strings.HasPrefix(target, "#") {
			target = "#"
		}
		f.Links = append(f.Links, target)
	}
	section = link.ReplaceAllString(section, "]")
	f.Names = codeSpan.FindAllString(section, -1)
	f.Numbers = number.FindAllString(codeSpan.ReplaceAllString(section, ""), -1)
	slices.Sort(f.Names)
	slices.Sort(f.Numbers)
	return f
}

// The times in the README are those of the last recorded run.
func TestReadmeFiguresAreRecorded(t *testing.T) {
	recorded := make(map[string]bool)
	for _, figure := range duration.FindAllString(read(t, "examples/internal/bench/RESULTS.md"), -1) {
		recorded[figure] = true
	}
	rows := 0
	for line := range strings.Lines(read(t, "README.md")) {
		if !strings.HasPrefix(line, "| time ") {
			continue
		}
		rows++
		_, cells, _ := strings.Cut(strings.TrimPrefix(line, "| "), "|") // without what the row is about
		for _, figure := range duration.FindAllString(cells, -1) {
			assert.True(t, recorded[figure], "%s is not in RESULTS.md: %s", figure, line)
		}
	}
	assert.Positive(t, rows)
}

func TestReadmeProgramCompiles(t *testing.T) {
	var programs []string
	for _, block := range fenced.FindAllString(read(t, "README.md"), -1) {
		if program, ok := strings.CutPrefix(block, "```go\n"); ok {
			programs = append(programs, strings.TrimSuffix(program, "```\n"))
		}
	}
	require.Len(t, programs, 1)
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(programs[0]), 0o600))
	goCommand(t, root, "vet", file)
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
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			_, err := os.Stat(filepath.Join(filepath.Dir(name), target))
			assert.NoError(t, err, "a link in %s", name)
		}
		return nil
	}))
	assert.Greater(t, pages, 10)
}
