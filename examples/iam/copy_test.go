//go:build unix

package main_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README's recipe makes a copy that builds and runs under another name.
func TestCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles everything once more")
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	recipe := regexp.MustCompile("(?s)```bash\n(COPY=.*?)go run ./iam\n```").FindStringSubmatch(string(readme))
	require.NotNil(t, recipe, "the recipe in the README")

	bash := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", recipe[1]+"go build -o a.out ./iam && pwd")
	bash.Dir, err = filepath.Abs("../..")
	require.NoError(t, err)
	bash.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := bash.CombinedOutput()
	require.NoError(t, err, "%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	program := exec.CommandContext(t.Context(), filepath.Join(lines[len(lines)-1], "a.out"), "-ports", "0", "-bcrypt-cost", "4")
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	found := false
	for text := bufio.NewScanner(stdout); text.Scan(); {
		if strings.HasPrefix(text.Text(), "curl -X DELETE ") { // the last that it prints when all is well
			found = true
			require.NoError(t, program.Process.Signal(syscall.SIGTERM))
		}
	}
	require.NoError(t, program.Wait())
	require.True(t, found)
}
