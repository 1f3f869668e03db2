//go:build unix

package systemd

import (
	"net"
	"syscall"
)

// write sends one datagram with descriptors. [net.UnixConn.WriteMsgUnix] refuses that on a socket
// that is connected.
func write(conn *net.UnixConn, state string, fds []int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) (done bool) {
		for {
			sent = syscall.Sendmsg(int(fd), []byte(state), syscall.UnixRights(fds...), nil, 0)
			if sent != syscall.EINTR { // of a system call, never wrapped
				return sent != syscall.EAGAIN
			}
		}
	})
	if err != nil {
		return err
	}
	if sent != nil {
		return &net.OpError{Op: "sendmsg", Net: "unixgram", Addr: conn.RemoteAddr(), Err: sent}
	}
	return nil
}
