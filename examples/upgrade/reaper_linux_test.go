package main

import (
	"errors"
	"syscall"
)

// becomeReaper makes processes whose parent has ended children of this one (prctl(2),
// PR_SET_CHILD_SUBREAPER), so that the tests can see how each generation ends, and not only the
// first.
func becomeReaper() error {
	const prSetChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		return errno
	}
	return nil
}

// reap returns the exit status of a process that has ended; ended is false while it runs. One whose
// parent still has to end is running.
func reap(pid int) (status int, ended bool) {
	var ws syscall.WaitStatus
	got, err := syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
	if errors.Is(err, syscall.ECHILD) || got != pid {
		return 0, false
	}
	return ws.ExitStatus(), true // -1 if a signal ended it
}
