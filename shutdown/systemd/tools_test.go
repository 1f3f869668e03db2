//go:build linux

package systemd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

// Systemd's own tool says the same, and says it to an abstract socket, too.
func TestSystemdNotify(t *testing.T) {
	tool, err := exec.LookPath("systemd-notify")
	if err != nil {
		t.Skip("there is no systemd-notify on this machine; Debian has it in the package systemd")
	}
	self := strconv.Itoa(os.Getpid())
	tests := []struct {
		arg string
		say func() error
	}{
		{"--ready", systemd.Ready},
		{"--status=cache: 40%", func() error { return systemd.Status("cache: 40%") }},
		{"--pid=" + self, func() error { return systemd.MainPID(os.Getpid()) }},
	}
	for name, r := range map[string]*recorder{
		"path": record(t), "abstract": recordAt(t, "@gracekit-notify-"+self),
	} {
		for _, tt := range tests {
			t.Run(name+" "+tt.arg, func(t *testing.T) {
				t.Setenv("NOTIFY_SOCKET", r.address)
				require.NoError(t, tt.say())
				want := r.next()

				cmd := exec.Command(tool, "--no-block", tt.arg)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
				assert.Equal(t, oneLine(want), oneLine(r.next()))
			})
		}
	}
}

// Systemd's own tool passes a socket, an abstract one, too.
func TestSystemdSocketActivate(t *testing.T) {
	tool, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skip("there is no systemd-socket-activate on this machine; " +
			"Debian has it in the package systemd")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, mode := range []string{"listeners", "passed"} {
		for kind, address := range map[string]string{
			"path":     socketPath(t),
			"abstract": fmt.Sprintf("@gracekit-%s-%d", mode, os.Getpid()),
		} {
			t.Run(mode+" "+kind, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only a failing test reaches it
				defer cancel()
				cmd := exec.CommandContext(ctx, tool, "-l", address, "--fdname=web",
					"-E", testproc.Variable+"="+mode, self)
				stdout, err := cmd.StdoutPipe()
				require.NoError(t, err)
				stderr, err := cmd.StderrPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				lines := bufio.NewScanner(stderr)
				for lines.Scan() && !strings.HasPrefix(lines.Text(), "Listening on ") {
				}
				conn, err := net.Dial("unix", address) // that is what makes it start the child
				require.NoError(t, err)
				defer conn.Close()
				out, err := io.ReadAll(stdout)
				require.NoError(t, err)
				_, _ = io.Copy(io.Discard, stderr)
				require.NoError(t, cmd.Wait())
				want := "web listens unix true\n"
				if mode == "listeners" {
					want = "1 sockets\n" + want + "0 sockets\n"
				}
				assert.Equal(t, want, string(out))
			})
		}
	}
}
