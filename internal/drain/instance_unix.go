//go:build unix

package drain

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func supported() error { return nil }

func setGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// takeInterrupt makes the processes that are started now heed SIGINT: if this one ignores it,
// because it runs in the background of a shell, they would, too.
func takeInterrupt() (restore func()) {
	if !signal.Ignored(syscall.SIGINT) {
		return func() {}
	}
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, syscall.SIGINT)
	return func() {
		signal.Stop(taken)
		signal.Ignore(syscall.SIGINT)
	}
}

func statusOf(state *os.ProcessState) exitStatus {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return -exitStatus(ws.Signal())
	}
	return exitStatus(state.ExitCode())
}

// kill ends the process group, and the descendants that have left it where they can be found.
func (in *instance) kill() {
	if !in.hasEnded() || !findsMarked && in.groupLives() {
		_ = syscall.Kill(-in.cmd.Process.Pid, syscall.SIGKILL)
	}
	for range 10 { // one may be forking
		left := marked(in.mark)
		if len(left) == 0 {
			return
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// groupLives tells whether the group still has a process, when its first one has just ended. Later
// the number may be that of another group.
func (in *instance) groupLives() bool {
	return time.Since(in.endedAt) < 2*time.Second && syscall.Kill(-in.cmd.Process.Pid, 0) == nil
}

// closedByServer tells whether the other end has closed c, without taking anything from it.
func closedByServer(c syscall.Conn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = err == nil && n == 0 || err != nil && err != syscall.EAGAIN
		return true
	})
	return closed || err != nil
}

func setReceiveBuffer(raw syscall.RawConn, size int) error {
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, size)
	})
	return errors.Join(controlErr, err)
}
