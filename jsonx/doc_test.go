package jsonx_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// TestDocumentationShowsTheDivergences wants the list in the package documentation to be
// testdata/divergences.txt.
func TestDocumentationShowsTheDivergences(t *testing.T) {
	var rows []divergence
	for _, row := range readDivergences(t) {
		if i := slices.IndexFunc(rows,
			func(r divergence) bool { return r.title == row.title }); i >= 0 {
			rows[i].builds = append(rows[i].builds, row.builds...)
			continue
		}
		rows = append(rows, row)
	}
	var want []string
	for _, row := range rows {
		seen := map[string]bool{}
		builds := slices.DeleteFunc(
			row.builds,
			func(b string) bool { again := seen[b]; seen[b] = true; return again },
		)
		want = append(
			want,
			fmt.Sprintf(
				"%s: %s. %s: %s.",
				row.title,
				row.want,
				strings.Join(builds, ", "),
				row.instead,
			),
		)
	}

	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(file.Doc.Text(), "# Where builds differ")
	if !ok {
		t.Fatal(`no section "Where builds differ" in the package documentation`)
	}
	items := strings.Split(section, "\n  - ")[1:]
	for i := range items {
		items[i] = strings.Join(strings.Fields(items[i]), " ")
	}
	for _, item := range want {
		if !slices.Contains(items, item) {
			t.Errorf("the documentation lacks the row\n%s", item)
		}
	}
	for _, item := range items {
		if !slices.Contains(want, item) {
			t.Errorf("the documentation has a row that %s lacks\n%s", divergencesFile, item)
		}
	}
}
