//go:build unix

package systemd_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown/systemd"
)

// nextWithFiles waits for a datagram, and returns what was passed with it.
func (r *recorder) nextWithFiles() (string, []*os.File) {
	r.t.Helper()
	buf, control := make([]byte, 8192), make([]byte, 1024)
	require.NoError(r.t, r.conn.SetReadDeadline(time.Now().Add(time.Minute))) // see next
	n, controlled, _, _, err := r.conn.ReadMsgUnix(buf, control)
	require.NoError(r.t, err)
	messages, err := syscall.ParseSocketControlMessage(control[:controlled])
	require.NoError(r.t, err)
	var files []*os.File
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		require.NoError(r.t, err)
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), "stored")
			r.t.Cleanup(func() { f.Close() })
			files = append(files, f)
		}
	}
	return string(buf[:n]), files
}

// What arrives is the same as what was stored, and it outlives the original.
func TestStore(t *testing.T) {
	r := record(t)
	l := listenTCP(t)
	client := dial(t, l)
	conn, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, systemd.Store("session 7", conn.(*net.TCPConn)))
	message, files := r.nextWithFiles()
	assert.Equal(t, "FDSTORE=1\nFDNAME=session 7\n", message)
	require.Len(t, files, 1)
	conn.Close()

	restored, err := net.FileConn(files[0])
	require.NoError(t, err)
	_, err = restored.Write([]byte("still there"))
	require.NoError(t, err)
	restored.Close()
	files[0].Close()
	got, err := io.ReadAll(client)
	require.NoError(t, err)
	assert.Equal(t, "still there", string(got))

	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	require.NoError(t, err)
	defer plain.Close()
	require.NoError(t, systemd.Store("log", plain))
	require.NoError(t, systemd.Store("http", l.(*net.TCPListener)))
	require.NoError(t, systemd.Unstore("log"))
	message, files = r.nextWithFiles()
	assert.Equal(t, "FDSTORE=1\nFDNAME=log\n", message)
	require.Len(t, files, 1)
	message, files = r.nextWithFiles()
	assert.Equal(t, "FDSTORE=1\nFDNAME=http\n", message)
	require.Len(t, files, 1)
	message, files = r.nextWithFiles()
	assert.Equal(t, "FDSTOREREMOVE=1\nFDNAME=log\n", message)
	assert.Empty(t, files)

	_, err = plain.WriteString("not changed by being stored")
	require.NoError(t, err)
}

func TestStoreErrors(t *testing.T) {
	r := record(t)
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	require.NoError(t, err)
	longest := strings.Repeat("x", 255)
	for _, name := range []string{"", "a:b", "a\nb", "é", "\x7f", longest + "x"} {
		require.ErrorContains(t, systemd.Store(name, plain), "want 1 to 255 printable ASCII characters")
		require.ErrorContains(t, systemd.Unstore(name), "want 1 to 255 printable ASCII characters")
	}
	require.NoError(t, systemd.Store(longest, plain))
	message, _ := r.nextWithFiles()
	assert.Equal(t, "FDSTORE=1\nFDNAME="+longest+"\n", message)

	plain.Close()
	err = systemd.Store("plain", plain)
	require.EqualError(t, err, `systemd: storing "plain": use of closed file`)
	require.EqualError(t, systemd.MainPID(0), "systemd: MainPID(0): must be positive")
	assert.Empty(t, r.received())

	r.close()
	require.ErrorIs(t, systemd.Unstore("plain"), syscall.ENOENT)
	t.Setenv("NOTIFY_SOCKET", "")
	require.NoError(t, systemd.Store("stdin", os.Stdin))
	require.NoError(t, systemd.Unstore("stdin"))
	require.NoError(t, systemd.MainPID(1))
}
