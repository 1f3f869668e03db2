package drain

import (
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:1F90": "[::1]:8080",
		"nonsense":                              "nonsense",
	} {
		assert.Equal(t, want, parseAddress(in))
	}
}

func TestMarked(t *testing.T) {
	assert.Empty(t, marked("nobody"))
	pid := startMarked(t, "somebody")
	assert.Equal(t, []int{pid}, marked("somebody"))
	assert.Contains(t, processName(pid), "cat")
	assert.Empty(t, listening("somebody"))
}

func TestListening(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	defer f.Close()
	startMarked(t, "listener", f)
	assert.Equal(t, []string{l.Addr().String()}, listening("listener"))
}

// startMarked starts a process that has the files, too. It returns when the program has answered:
// for some milliseconds after Start its environment reads as empty.
func startMarked(t *testing.T, mark string, files ...*os.File) (pid int) {
	t.Helper()
	cat := exec.Command("cat")
	cat.Env = []string{markVariable + "=" + mark}
	cat.ExtraFiles = files
	in, err := cat.StdinPipe()
	require.NoError(t, err)
	out, err := cat.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cat.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cat.Wait()
	})
	_, err = in.Write([]byte("."))
	require.NoError(t, err)
	_, err = io.ReadFull(out, make([]byte, 1))
	require.NoError(t, err)
	return cat.Process.Pid
}
