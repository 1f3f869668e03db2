//go:build !unix

package shutdown

import (
	"net"
	"time"
)

// takeQueue accepts the connections in the queue of l's socket, and closes l. There is no way to
// ask whether the queue is empty, so it counts as empty when nothing has come for a while.
func takeQueue(l deadlineListener) (queue []net.Conn, err error) {
	for {
		if err := l.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			return queue, err
		}
		conn, err := l.Accept()
		if err != nil {
			return queue, closeGuarded(l)
		}
		queue = append(queue, conn)
	}
}
