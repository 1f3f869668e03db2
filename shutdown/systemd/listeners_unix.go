//go:build unix

package systemd

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// inspect sets close-on-exec on the descriptor fd, and tells whether it is a stream or a datagram
// socket. It is an error if it is neither.
func inspect(fd int) (stream bool, err error) {
	kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if errors.Is(err, syscall.EBADF) {
		return false, errNotOpen
	}
	syscall.CloseOnExec(fd)
	if err != nil {
		return false, fmt.Errorf("it is no socket but %s: %w", describe(fd), err)
	}
	// Others, such as AF_VSOCK and AF_NETLINK, package net would refuse too, but only after it has
	// made them non-blocking.
	address, err := syscall.Getsockname(fd)
	switch address.(type) {
	case *syscall.SockaddrInet4, *syscall.SockaddrInet6, *syscall.SockaddrUnix:
	default:
		return false, fmt.Errorf("it is a socket of a family that package net does not know: %w",
			cmp.Or(err, error(syscall.EAFNOSUPPORT)))
	}
	if kind != syscall.SOCK_STREAM && kind != syscall.SOCK_SEQPACKET {
		return false, nil
	}
	listening, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err == nil && listening == 0 {
		err = errors.New("it is a socket that does not listen; " +
			"Accept=yes in a socket unit is not supported")
	}
	return true, err
}

// describe tells what kind of file fd is.
func describe(fd int) string {
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return "something unknown"
	}
	switch stat.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return "a file"
	case syscall.S_IFDIR:
		return "a directory"
	case syscall.S_IFIFO:
		return "a pipe"
	case syscall.S_IFCHR, syscall.S_IFBLK:
		return "a device"
	}
	return "an anonymous descriptor" // Linux: eventfd, timerfd, epoll, pidfd
}

// takeSocket makes a Socket of the descriptor fd and closes fd. If that fails, fd stays open.
func takeSocket(fd int, name string, stream bool) (Socket, error) {
	// A file of fd itself would close it in any case, as soon as the garbage is collected.
	syscall.ForkLock.RLock()
	duplicate, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(duplicate)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return Socket{}, os.NewSyscallError("dup", err)
	}
	f := os.NewFile(uintptr(duplicate), name)
	defer f.Close() // package net makes a duplicate of its own

	socket := Socket{Name: name}
	if stream {
		socket.Listener, err = net.FileListener(f)
	} else {
		socket.PacketConn, err = net.FilePacketConn(f)
	}
	if err != nil {
		return Socket{}, err
	}
	_ = syscall.Close(fd)
	return socket, nil
}
