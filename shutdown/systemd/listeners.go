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

// A Socket is one that systemd has opened for the service. Either Listener or PacketConn is set,
// and it is the caller's to close.
type Socket struct {
	// Name is what the socket unit says in FileDescriptorName=, or else the name of that unit. It
	// is "unknown" without any; several sockets may have the same name.
	Name string

	// Listener accepts the connections of a stream socket: ListenStream=, ListenSequentialPacket=.
	// Closing it closes the service's share only: systemd goes on listening, and what connects
	// meanwhile waits for the next process to accept it. The file of a Unix socket is left where it
	// is. To lose no request in a restart, give it to [shutdown.GracefulShutdown.HoldListener]
	// first.
	Listener net.Listener

	// PacketConn is a datagram socket: ListenDatagram=.
	PacketConn net.PacketConn
}

// Listeners returns the sockets that systemd has passed to this process (LISTEN_PID, LISTEN_FDS,
// LISTEN_FDNAMES), in the order in which the socket unit lists them, or none if the process was
// started in another way: then open one's own, as the example of the package does.
//
// Call it once, early in main and before other processes are started: it sets close-on-exec on the
// descriptors, and removes the variables from the environment, whatever it returns, so that neither
// is inherited. A second call returns none.
//
// The error joins one for each descriptor that is neither a listening nor a datagram socket, with
// its number, its name and what it is: a file of OpenFile=, something from the file descriptor
// store, a connection that an Accept=yes unit passes. Those stay open, and the sockets are returned
// beside the error. A service that expects nothing but sockets should not start with an error: the
// clients of a socket that it does not serve would wait in the queue for ever. One that expects
// others, too, calls [Passed] instead.
//
// If the variables contradict each other, there is an error and no socket.
func Listeners() ([]Socket, error) {
	sockets, others, err := takePassed()
	var errs []error
	for _, other := range others {
		errs = append(errs, other.why)
	}
	return sockets, errors.Join(append(errs, err)...)
}

// Passed is [Listeners] for a service that gets more than sockets: files of OpenFile=, and what an
// earlier process of the service has put into the file descriptor store ([Store]). The name of each
// file is that of its descriptor. A listening or a datagram socket is a Socket, even from the
// store; everything else is a file, which [net.FileConn] makes a connection of. All are the
// caller's to close. A file that was opened in blocking mode stays in it.
//
// An error is about descriptors that are missing or were not passed as the variables say; the
// others are returned beside it.
func Passed() (sockets []Socket, files []*os.File, err error) {
	sockets, others, err := takePassed()
	for _, other := range others {
		files = append(files, os.NewFile(uintptr(other.fd), other.name))
	}
	return sockets, files, err
}

func takePassed() ([]Socket, []descriptor, error) {
	env := make(map[string]string)
	for _, name := range []string{"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		env[name] = os.Getenv(name)
		if err := os.Unsetenv(name); err != nil {
			return nil, nil, fmt.Errorf("systemd: %w", err)
		}
	}
	passed, err := parsePassed(env["LISTEN_PID"], env["LISTEN_FDS"], env["LISTEN_FDNAMES"], os.Getpid())
	if err != nil {
		return nil, nil, err
	}
	return passed.take(firstDescriptor)
}

// A descriptor is one that is no Socket.
type descriptor struct {
	fd   int
	name string
	why  error
}

// take takes the sockets among the descriptors from first on. The others stay open.
func (p passedSockets) take(first int) (sockets []Socket, others []descriptor, err error) {
	// First all are looked at, because once one is taken, numbers beyond those passed may be the
	// duplicates that taking makes.
	var streams []bool
	var errs []error
	for i := range p.count {
		stream, err := inspect(first + i)
		streams = append(streams, stream)
		errs = append(errs, err)
		if errors.Is(err, errNotOpen) {
			break // nor are those that follow, however many LISTEN_FDS promises
		}
	}
	for i, stream := range streams {
		why := errs[i]
		if why == nil {
			var socket Socket
			if socket, why = takeSocket(first+i, p.name(i), stream); why == nil {
				sockets = append(sockets, socket)
				continue
			}
		}
		notOpen := errors.Is(why, errNotOpen)
		why = fmt.Errorf("systemd: descriptor %d (%s): %w", first+i, p.name(i), why)
		if notOpen {
			return sockets, others, why // none follows
		}
		others = append(others, descriptor{first + i, p.name(i), why})
	}
	return sockets, others, nil
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

// parsePassed reads the variables of sd_listen_fds(3). What is meant for another process counts as
// nothing.
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
