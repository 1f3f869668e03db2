//go:build unix

package systemd

import (
	"net"
	"sync"
	"syscall"
)

// write sends one datagram, with descriptors or without. If there is no room for it, it calls full
// once, and waits until there is or the deadline of conn is over. [net.UnixConn.WriteMsgUnix]
// refuses descriptors on a socket that is connected.
func write(conn *net.UnixConn, state string, fds []int, full func()) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	begin := sync.OnceFunc(full)
	var sent error
	err = raw.Write(func(fd uintptr) (done bool) {
		for {
			sent = syscall.Sendmsg(int(fd), []byte(state), rights, nil, 0)
			switch sent { // of a system call, never wrapped
			case syscall.EINTR:
			case syscall.EAGAIN:
				begin()
				return false
			default:
				return true
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
