//go:build unix && (!linux || 386)

package shutdown

import "syscall"

// acceptQueued accepts from a socket that does not block until its queue is empty.
func acceptQueued(socket int) (fds []int) {
	for {
		fd, _, err := syscall.Accept(socket)
		switch err {
		case nil:
			fds = append(fds, fd)
		case syscall.EINTR, syscall.ECONNABORTED:
		default: // EAGAIN: it is empty
			return fds
		}
	}
}
