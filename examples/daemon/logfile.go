//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// redirect makes path, appended to, the standard output and standard error of this process,
// whatever they were before. All that is written to them goes there: the log, and what the Go
// runtime prints when the program crashes.
//
// It is also how a log file is opened again after logrotate has renamed it. dup2 is one step for
// the kernel, so a record goes to the old file or to the new one, and loggers need neither a lock
// nor to know of it.
func redirect(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOCTTY, 0o666) //nolint:gosec // the umask restricts it
	if err != nil {
		return err
	}
	defer file.Close()
	for _, fd := range []int{1, 2} {
		if err := unix.Dup2(int(file.Fd()), fd); err != nil {
			return os.NewSyscallError("dup2", err)
		}
	}
	return nil
}
