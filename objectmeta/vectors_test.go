package objectmeta_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vectors reads the rows of a tab-separated file in testdata.
func vectors(tb testing.TB, file string, columns, wantRows int) [][]string {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + file)
	require.NoError(tb, err)
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(tb, row, columns, "%s: %q", file, line)
		rows = append(rows, row)
	}
	require.Len(tb, rows, wantRows, file)
	return rows
}
