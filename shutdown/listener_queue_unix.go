//go:build unix

package shutdown

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// takeQueue accepts the connections in the queue of l's socket until it is empty, and closes l at
// once: a connection that comes in between is reset. Accept cannot be used, because the deadline of
// l has passed.
func takeQueue(l deadlineListener) (queue []net.Conn, err error) {
	raw, err := l.(syscall.Conn).SyscallConn() // own has asked whether it is one
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	var fds []int
	_ = raw.Control(func(socket uintptr) { fds = acceptQueued(int(socket)) })
	err = l.Close() // of package net
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "accepted")
		conn, err := net.FileConn(f) // a duplicate, which does not block
		_ = f.Close()
		if err != nil {
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetKeepAlive(true) // as Accept of package net does
		}
		queue = append(queue, conn)
	}
	return queue, err
}
