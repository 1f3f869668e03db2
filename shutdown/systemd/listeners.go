package systemd

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
)

// A Socket is one that systemd has opened for the service. Either Listener or PacketConn is set, and it is the caller's to close.
type Socket struct {
	// Name is what the socket unit says in FileDescriptorName=, or else the name of that unit. It is "unknown" without any; several sockets may
	// have the same name.
	Name string

	// Listener accepts the connections of a stream socket: ListenStream=, ListenSequentialPacket=. Closing it closes the
	// service's share only: systemd goes on listening, and what connects meanwhile waits for the next process to accept it. The
	// file of a Unix socket is left where it is. To lose no request in a restart, give it to [shutdown.GracefulShutdown.HoldListener] first.
	Listener net.Listener

	// PacketConn is a datagram socket: ListenDatagram=.
	PacketConn net.PacketConn
}

// Listeners returns the sockets that systemd has passed to this process (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), in the order in which
// the socket unit lists them, or none if the process was started in another way: then open one's own, as the example of the package does.
//
// Call it once, early in main and before other processes are started: it sets close-on-exec on the descriptors, and removes the
// variables from the environment, whatever it returns, so that neither is inherited. A second call returns none.
//
// It returns an error if the variables contradict each other, and for each descriptor that is neither a listening nor a datagram
// socket, such as a connection that an Accept=yes unit passes. No socket is returned then: to leave one unserved is worse than not to start,
// because its clients would wait in the queue for ever. What is no socket stays open: it may be anything.
func Listeners() ([]Socket, error) {
	env := make(map[string]string)
	for _, name := range []string{"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		env[name] = os.Getenv(name)
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("systemd: %w", err)
		}
	}
	passed, err := parsePassed(env["LISTEN_PID"], env["LISTEN_FDS"], env["LISTEN_FDNAMES"], os.Getpid())
	if err != nil {
		return nil, err
	}
	return passed.take(firstDescriptor)
}

// take takes the descriptors from first on.
func (p passedSockets) take(first int) ([]Socket, error) {
	wrap := func(i int, err error) error {
		return fmt.Errorf("systemd: descriptor %d (%s): %w", first+i, p.name(i), err)
	}
	// First all are looked at, because with the first one taken, numbers beyond those passed may be the duplicates that taking makes.
	var streams []bool
	var errs []error
	for i := range p.count {
		stream, err := inspect(first + i)
		streams = append(streams, stream)
		if err != nil {
			errs = append(errs, wrap(i, err))
		}
		if errors.Is(err, errNotOpen) { // nor will be those that follow, however many LISTEN_FDS promises
			break
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var sockets []Socket
	for i, stream := range streams {
		socket, err := takeSocket(first+i, p.name(i), stream)
		if err != nil {
			errs = append(errs, wrap(i, err))
			continue
		}
		sockets = append(sockets, socket)
	}
	if len(errs) > 0 {
		for _, s := range sockets {
			s.close()
		}
		return nil, errors.Join(errs...)
	}
	return sockets, nil
}

func (s Socket) close() {
	if s.Listener != nil {
		_ = s.Listener.Close()
		return
	}
	_ = s.PacketConn.Close()
}

// firstDescriptor is SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstDescriptor = 3

var errNotOpen = errors.New("it is not open")

type passedSockets struct {
	count int
	names []string // count of them, or nil
}

func (p passedSockets) name(i int) string {
	if p.names == nil {
		return "unknown"
	}
	return p.names[i]
}

// parsePassed reads the variables of sd_listen_fds(3). What is meant for another process counts as nothing.
func parsePassed(listenPID, fds, names string, self int) (passedSockets, error) {
	if listenPID == "" {
		return passedSockets{}, nil
	}
	pid, err := strconv.ParseInt(listenPID, 10, 32)
	if err != nil || pid <= 0 {
		return passedSockets{}, fmt.Errorf("systemd: LISTEN_PID is %q, want a process ID", listenPID)
	}
	if int(pid) != self || fds == "" {
		return passedSockets{}, nil
	}
	count, err := strconv.ParseInt(fds, 10, 32)
	if err != nil || count <= 0 || count > math.MaxInt32-firstDescriptor {
		return passedSockets{}, fmt.Errorf("systemd: LISTEN_FDS is %q, want a number from 1 to %d", fds, math.MaxInt32-firstDescriptor)
	}
	p := passedSockets{count: int(count)}
	if names != "" {
		p.names = strings.Split(names, ":")
		if len(p.names) != p.count {
			return passedSockets{}, fmt.Errorf("systemd: LISTEN_FDNAMES is %q, want %d names, as LISTEN_FDS says", names, p.count)
		}
	}
	return p, nil
}
