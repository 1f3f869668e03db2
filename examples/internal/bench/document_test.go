package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func filled(text string) (string, error) {
	rows := func(own, peer float64) []row {
		return []row{
			{Name: "ours", Value: new(own), Ratio: new(1.0)},
			{Name: "peer", Value: new(peer), Ratio: new(peer / own)},
		}
	}
	only := []row{{Name: "other", Skipped: "not here"}}
	r := report{
		Environment: env{Go: "go1.26.0", Count: 7},
		Tables: []table{{Package: "p", Title: "a job", Scenarios: []result{
			{Name: "write", Unit: nanoseconds, Rows: rows(10, 20)},
			{Name: "read", Unit: nanoseconds, Rows: append(rows(30, 60), only...)},
		}}},
	}
	return document{"page.md", text}.fill(r)
}

func TestFillTable(t *testing.T) {
	got, err := filled(`text
<!-- bench: p/write|read -->

| | 写 | 读 |
|---|--:|--:|
| *ours* | 1ns | 2ns |
| peer |
| other | old | |

<!-- /bench -->
more text`)
	require.NoError(t, err)
	assert.Equal(t, `text
<!-- bench: p/write|read -->

| | 写 | 读 |
|---|--:|--:|
| *ours* | **10.0ns** | **30.0ns** |
| peer | 20.0ns | 60.0ns |
| other | — | — |

<!-- /bench -->
more text`, got)
	again, err := filled(got)
	require.NoError(t, err)
	assert.Equal(t, got, again)
}

func TestFillAll(t *testing.T) {
	got, err := filled("<!-- bench -->\nold\n<!-- /bench -->\n" +
		"<!-- bench: environment -->\n<!-- /bench -->\n")
	require.NoError(t, err)
	assert.NotContains(t, got, "old")
	assert.Contains(t, got, "<!-- bench -->\ngo1.26.0, ")
	assert.Contains(t, got, "\n### p: a job\n\nwrite:\n\n| name | version | ")
	assert.Equal(t, 2, strings.Count(got, "medians of 7 rounds"))
}

func TestFillRefuses(t *testing.T) {
	table := func(expression, rest string) string {
		return "<!-- bench: " + expression + " -->\n| | a |\n|---|--:|\n" + rest + "<!-- /bench -->"
	}
	for _, c := range []struct{ name, text, want string }{
		{"no marker", "text", "page.md has no <!-- bench -->"},
		{"no scenario", table("p/none", ""), "matches no scenario"},
		{"regexp", table("(", ""), "missing closing )"},
		{"columns", table("p/", ""), "want 2 columns of figures, got 1"},
		{"rows", table("p/write", "| ours |\n"), "want 2 rows, got 1: ours; peer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := filled(c.text)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// The pages of this repository have the rows and columns that the program would fill in, and the
// English ones name the rows as the program does.
func TestDocumentsFit(t *testing.T) {
	const pages = "../../../COMPARISON.md,../../../COMPARISON.zh-CN.md,RESULTS.md"
	cfg, err := parseFlags([]string{"-write", pages}, io.Discard)
	require.NoError(t, err)
	documents, err := prepare(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, documents, 3)

	cfg.list = true
	r, err := measureTables(t.Context(), cfg, io.Discard)
	require.NoError(t, err)
	for _, m := range marked.FindAllStringSubmatch(documents[0].text, -1) {
		if m[2] == "" || m[2] == "environment" {
			continue
		}
		_, names, err := r.matching(m[2])
		require.NoError(t, err)
		for i, line := range strings.Split(strings.Trim(m[3], "\n"), "\n")[2:] {
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
			assert.Equal(t, names[i], first, "<!-- bench: %s -->", m[2])
		}
	}
}
