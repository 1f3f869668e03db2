package demo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The code that is checked in is what the go:generate line makes of demo.proto.
func TestRegenerateChangesNothing(t *testing.T) {
	for _, tool := range []string{"sh", "protoc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (Debian: apt-get install protobuf-compiler): %v", tool, err)
		}
	}
	source, err := os.ReadFile("demo.go")
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^//go:generate sh -c "(.+)"$`).FindSubmatch(source)
	require.NotNil(t, line)

	// To another directory, because whatever else is built meanwhile reads this one.
	dir := t.TempDir()
	output, err := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(string(line[1]), "_out=.", "_out="+dir)).CombinedOutput()
	require.NoError(t, err, "%s", output)
	for _, name := range []string{"demo.pb.go", "demo_grpc.pb.go"} {
		assert.Equal(t, withoutProtoc(t, name), withoutProtoc(t, filepath.Join(dir, name)), "%s is not up to date: run go generate", name)
	}
}

// withoutProtoc returns a file without the line that says which protoc made it.
func withoutProtoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return regexp.MustCompile(`(?m)^// [\t-] ?protoc +v.*\n`).ReplaceAllString(string(text), "")
}
