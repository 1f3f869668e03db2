package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A document is a page in which -write replaces what stands between markers:
//
//	<!-- bench -->                       everything that -markdown prints
//	<!-- bench: environment -->          its first line
//	<!-- bench: reqid/a request with --> a table of the scenarios that the regexp matches
//	<!-- /bench -->                      the end of each
//
// Such a table has a column for each scenario and a row for each contestant, both in the order of
// -list. Its heading and its first column are the page's, in whatever language, and stay.
type document struct{ path, text string }

// marked finds what stands between markers: 1 is the begin marker, 2 what it is about, 3 the text
// and 4 the end.
var marked = regexp.MustCompile(`(?s)(<!-- bench(?:: ([^\n]*?))? -->\n)(.*?)(<!-- /bench -->)`)

func readDocuments(paths []string) (docs []document, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("-write: %w", err)
		}
		docs = append(docs, document{path, string(text)})
	}
	return docs, nil
}

// fill returns the text with the figures of r.
func (d document) fill(r report) (string, error) {
	if !marked.MatchString(d.text) {
		return "", fmt.Errorf("%s has no <!-- bench -->", d.path)
	}
	var err error
	text := marked.ReplaceAllStringFunc(d.text, func(part string) string {
		m := marked.FindStringSubmatch(part)
		body := m[3]
		switch m[2] {
		case "":
			var all bytes.Buffer
			printMarkdown(r, &all)
			body = all.String()
		case "environment":
			body = r.Environment.markdown() + "\n"
		default:
			filled, tableErr := fillTable(body, r, m[2])
			if tableErr != nil && err == nil {
				err = fmt.Errorf("%s: <!-- bench: %s -->: %w", d.path, m[2], tableErr)
			}
			body = filled
		}
		return m[1] + body + m[4]
	})
	return text, err
}

// fillTable replaces all but the heading and the first column of a Markdown table.
func fillTable(text string, r report, expression string) (string, error) {
	scenarios, names, err := r.matching(expression)
	if err != nil {
		return text, err
	}
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	if got := strings.Count(lines[0], "|") - 2; got != len(scenarios) {
		return text, fmt.Errorf("want %d columns of figures, got %d", len(scenarios), got)
	}
	if got := len(lines) - 2; got != len(names) {
		return text, fmt.Errorf("want %d rows, got %d: %s",
			len(names), got, strings.Join(names, "; "))
	}
	for i, name := range names {
		first, _, _ := strings.Cut(strings.TrimPrefix(lines[i+2], "| "), " |")
		cells := []string{first}
		for _, s := range scenarios {
			cells = append(cells, s.cell(name))
		}
		lines[i+2] = "| " + strings.Join(cells, " | ") + " |"
	}
	return "\n" + strings.Join(lines, "\n") + "\n\n", nil
}

// matching returns the scenarios whose package/name the expression matches, and the names of all
// their contestants.
func (r report) matching(expression string) (scenarios []result, names []string, err error) {
	e, err := regexp.Compile(expression)
	if err != nil {
		return nil, nil, err
	}
	seen := make(map[string]bool)
	for _, t := range r.Tables {
		for _, s := range t.Scenarios {
			if !e.MatchString(t.Package + "/" + s.Name) {
				continue
			}
			scenarios = append(scenarios, s)
			for _, row := range s.Rows {
				if !seen[row.Name] {
					seen[row.Name] = true
					names = append(names, row.Name)
				}
			}
		}
	}
	if len(scenarios) == 0 {
		return nil, nil, fmt.Errorf("matches no scenario (-list shows the names)")
	}
	return scenarios, names, nil
}

// cell is the value of a contestant, bold if it is the best of those that are compared.
func (r result) cell(name string) string {
	for _, row := range r.Rows {
		switch {
		case row.Name != name:
		case row.Value == nil:
			return "—"
		case row.Ratio != nil && *row.Ratio == 1:
			return "**" + row.value(r.Unit) + "**"
		default:
			return row.value(r.Unit)
		}
	}
	return "—"
}
