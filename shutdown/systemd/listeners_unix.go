//go:build unix

package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// inspect sets close-on-exec on the descriptor fd and tells what kind of socket it is.
func inspect(fd int) (stream bool, err error) {
	kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if errors.Is(err, syscall.EBADF) {
		return false, errNotOpen
	}
	syscall.CloseOnExec(fd)
	if err != nil {
		return false, fmt.Errorf("it is no socket: %w", err)
	}
	if kind != syscall.SOCK_STREAM && kind != syscall.SOCK_SEQPACKET {
		return false, nil
	}
	listening, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err == nil && listening == 0 {
		err = errors.New("it does not listen; Accept=yes in a socket unit is not supported")
	}
	return true, err
}

// takeSocket makes a Socket of the descriptor fd, which is closed: package net makes a duplicate, with close-on-exec.
func takeSocket(fd int, name string, stream bool) (Socket, error) {
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	// Errors are for families that package net does not know, such as AF_VSOCK or AF_NETLINK.
	if !stream {
		conn, err := net.FilePacketConn(f)
		return Socket{Name: name, PacketConn: conn}, err
	}
	l, err := net.FileListener(f)
	return Socket{Name: name, Listener: l}, err
}
