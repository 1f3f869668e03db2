// Package migration holds the pages to their code.
package migration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var fenced = regexp.MustCompile("(?s)```go\n(.*?)```")

// What a page shows is what compiles.
func TestPagesShowTheirCode(t *testing.T) {
	pages, err := filepath.Glob("*/README.md")
	require.NoError(t, err)
	require.Len(t, pages, 7)
	for _, page := range pages {
		t.Run(filepath.Dir(page), func(t *testing.T) {
			var code strings.Builder
			for _, name := range []string{"before.go", "after.go"} {
				source, err := os.ReadFile(filepath.Join(filepath.Dir(page), name))
				require.NoError(t, err)
				code.Write(source)
			}
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			blocks := fenced.FindAllSubmatch(text, -1)
			require.GreaterOrEqual(t, len(blocks), 2, "the code before and after")
			for _, block := range blocks {
				assert.Contains(t, code.String(), string(block[1]))
			}
		})
	}
}
