//go:build !386

package shutdown

import "syscall"

// acceptQueued accepts from a socket that does not block until its queue is empty. Then it puts
// another socket in its place, which closes it. Under load many connections come within a
// millisecond, so the scheduler must not come in between: RawSyscall does not let it. shutdown(2),
// listen(2) and a filter would change the socket for another process that has it, too.
func acceptQueued(socket int) (fds []int) {
	unused, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		defer syscall.Close(unused)
	}
	for {
		fd, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(socket), 0, 0, syscall.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			fds = append(fds, int(fd))
		case syscall.EINTR, syscall.ECONNABORTED:
		default: // EAGAIN: it is empty
			if err == nil {
				_, _, _ = syscall.RawSyscall(syscall.SYS_DUP3, uintptr(unused), uintptr(socket), syscall.O_CLOEXEC)
			}
			return fds
		}
	}
}
