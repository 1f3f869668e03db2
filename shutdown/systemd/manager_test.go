//go:build linux

package systemd_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

// A userManager is systemd itself: a user's service manager, in a mount namespace of its own.
type userManager struct {
	t   *testing.T
	dir string
}

func startUserManager(t *testing.T, units map[string]string) userManager {
	t.Helper()
	if os.Getenv("GRACEKIT_TEST_SYSTEMD") == "" {
		t.Skip("GRACEKIT_TEST_SYSTEMD is not set; with it, root starts a service manager of its own " +
			"(Debian's package systemd)")
	}
	dir, err := os.MkdirTemp("", "sdm") // a short path, see socketPath
	require.NoError(t, err)
	m := userManager{t, dir}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "units"), 0o700))
	for name, text := range units {
		text = strings.Replace(text, "[Unit]\n", "[Unit]\nDefaultDependencies=no\n", 1)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "units", name), []byte(text), 0o600))
	}
	// A user's manager refuses to start where /run/systemd/system says that systemd is not PID 1.
	cmd := exec.Command("unshare", "--mount", "/bin/sh", "-c",
		`mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system && `+
			`exec /lib/systemd/systemd --user --unit=gracekit.target`)
	cmd.Env = append(m.env(), "SYSTEMD_LOG_TARGET=console", "SYSTEMD_UNIT_PATH="+dir+"/units:")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("systemd says:\n%s", text)
		}
		_ = m.command("stop", "--no-block", "gracekit.service", "gracekit.socket").Run()
		_ = m.command("exit").Run()
		ended := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
		log.Close()
		_ = os.RemoveAll(dir)
	})
	for end := time.Now().Add(time.Minute); m.command("is-active", "gracekit.target").Run() != nil; {
		require.True(t, time.Now().Before(end), "systemd does not start")
		time.Sleep(20 * time.Millisecond)
	}
	return m
}

func (m userManager) env() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "XDG_RUNTIME_DIR=" + m.dir}
}

func (m userManager) command(args ...string) *exec.Cmd {
	cmd := exec.Command("systemctl", append([]string{"--user"}, args...)...)
	cmd.Env = m.env()
	return cmd
}

func (m userManager) systemctl(args ...string) string {
	m.t.Helper()
	out, err := m.command(args...).CombinedOutput()
	require.NoError(m.t, err, "systemctl %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// Ten restarts by systemd itself: no established connection ends, no request on one is lost, and
// no new connection is refused.
func TestTenRestartsKeepConnections(t *testing.T) {
	address := testproc.FreeAddress(t)
	self, err := os.Executable()
	require.NoError(t, err)
	m := startUserManager(t, map[string]string{
		"gracekit.target": "[Unit]\nWants=gracekit.socket\n",
		"gracekit.socket": "[Unit]\n[Socket]\nListenStream=" + address + "\nFileDescriptorName=http\n",
		"gracekit.service": "[Unit]\nRequires=gracekit.socket\nStartLimitIntervalSec=0\n" +
			"[Service]\nType=notify\nExecStart=" + self + "\nEnvironment=" + testproc.Variable + "=keeper GORACE=atexit_sleep_ms=0\n" +
			"FileDescriptorStoreMax=100\nTimeoutStopSec=30s\n",
	})

	var done atomic.Bool
	var connections atomic.Int64
	var answers [8]atomic.Int64 // by client
	var running sync.WaitGroup
	pids := make([]map[string]bool, len(answers)) // that have answered, by client
	ask := func(conn net.Conn, lines *bufio.Reader, what string) (pid string, err error) {
		_ = conn.SetDeadline(time.Now().Add(time.Minute)) // only a failing test reaches it
		if _, err := fmt.Fprintln(conn, what); err != nil {
			return "", err
		}
		line, err := lines.ReadString('\n')
		if err == nil && !strings.HasPrefix(line, what+" ") {
			err = fmt.Errorf("the answer to %s is %q", what, line)
		}
		return strings.TrimSpace(strings.TrimPrefix(line, what)), err
	}
	for i := range pids {
		pids[i] = map[string]bool{}
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		lines := bufio.NewReader(conn)
		running.Go(func() { // keeps its connection
			for n := 0; !done.Load(); n++ {
				pid, err := ask(conn, lines, fmt.Sprintf("%d-%d", i, n))
				if !assert.NoError(t, err) {
					return
				}
				pids[i][pid] = true
				answers[i].Add(1)
			}
		})
	}
	running.Go(func() { // always a new one
		for !done.Load() {
			conn, err := net.Dial("tcp", address)
			if !assert.NoError(t, err, "a new connection") {
				return
			}
			connections.Add(1)
			_, err = ask(conn, bufio.NewReader(conn), "new")
			assert.NoError(t, err, "on a new connection")
			conn.Close()
		}
	})
	work := func() { // each client for a while, with the process that there is
		for i := range answers {
			for seen := answers[i].Load(); answers[i].Load() < seen+25 && !t.Failed(); {
				time.Sleep(time.Millisecond)
			}
		}
	}
	for range 10 {
		work()
		m.systemctl("restart", "gracekit.service")
	}
	work()
	stored := m.systemctl("show", "--value", "--property=NFileDescriptorStore", "gracekit.service")
	done.Store(true)
	running.Wait()
	for i := range pids {
		assert.Len(t, pids[i], 11, "processes that have answered client %d", i)
	}
	kept := int64(0)
	for i := range answers {
		kept += answers[i].Load()
	}
	t.Logf("%d answers on 8 kept and %d new connections, by 11 processes; %s descriptors in the store",
		kept, connections.Load(), stored)
}
