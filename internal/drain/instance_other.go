//go:build !unix

package drain

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

func supported() error {
	return errors.New("this system has no SIGTERM, which is what is measured here: " +
		"run it on Linux or macOS, in a container or in WSL")
}

func setGroup(*exec.Cmd) {}

func takeInterrupt() (restore func()) { return func() {} }

func statusOf(state *os.ProcessState) exitStatus { return exitStatus(state.ExitCode()) }

func (in *instance) kill() { _ = in.cmd.Process.Kill() }

func (in *instance) groupLives() bool { return false }

func closedByServer(syscall.Conn) bool { return false }

func setReceiveBuffer(syscall.RawConn, int) error { return nil }
