package drain

import (
	"net"
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
	sleep := exec.Command("sleep", "60")
	sleep.Env = []string{markVariable + "=somebody"}
	require.NoError(t, sleep.Start())
	defer func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
	}()
	assert.Equal(t, []int{sleep.Process.Pid}, marked("somebody"))
	assert.Contains(t, processName(sleep.Process.Pid), "sleep")
	assert.Empty(t, listening("somebody"))
}

func TestListening(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	defer f.Close()
	sleep := exec.Command("sleep", "60")
	sleep.Env = []string{markVariable + "=listener"}
	sleep.Stdin = f // it has the socket
	require.NoError(t, sleep.Start())
	defer func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
	}()
	assert.Equal(t, []string{l.Addr().String()}, listening("listener"))
}
