//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A successor is a process that is to replace this one.
type successor struct {
	process *os.Process
	channel *channel
	ended   chan struct{} // closed when it has ended and is reaped
	status  string        // how; like well, readable after ended
	well    bool          // with status 0
}

// startSuccessor starts path with the listening socket and one end of a channel. It gets standard
// output and error of this process as they are: a pipe to this process would break when this
// process ends, and the new one with it.
func startSuccessor(path string, args []string, socket net.Listener) (*successor, error) {
	inherited, err := duplicate(socket)
	if err != nil {
		return nil, err
	}
	defer inherited.Close()
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()

	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), inheritedVariable+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{inherited, theirs} // descriptors 3 and 4; all others are close-on-exec, as Go has it
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	s := &successor{process: cmd.Process, channel: newChannel(ours), ended: make(chan struct{})}
	go func() { // ends with one of the two processes
		s.well = cmd.Wait() == nil
		s.status = cmd.ProcessState.String()
		close(s.ended)
	}()
	return s, nil
}

const (
	// lastWords is how long what an ended process has said is read. It is all there; but the end of
	// the channel only comes when all have closed it, those included that this process has started.
	lastWords = time.Second

	// endWait is how long a process that has closed the channel is waited for to end, in order to
	// say how it did.
	endWait = 5 * time.Second

	// takeoverWait is how long a process that was healthy a moment ago may take to write its pid
	// file. Nobody is kept waiting by it.
	takeoverWait = 30 * time.Second
)

// handOver returns when s serves. Its error says why it does not; s may still be there then. Until
// s is healthy, the end of ctx ends the wait; from then on there is no way back, since s may have
// accepted connections.
func (s *successor) handOver(ctx context.Context) error {
	unwatch := context.AfterFunc(ctx, func() { _ = s.channel.SetDeadline(time.Unix(1, 0)) })
	defer unwatch()
	go func() { // ends with s, or this process
		<-s.ended
		_ = s.channel.SetReadDeadline(time.Now().Add(lastWords))
	}()

	said := ""
	for {
		word, why, err := s.channel.hear()
		if err != nil {
			return s.why(ctx, said, err)
		}
		switch word {
		case waiting, failed:
			said = why
		case healthy:
			if !unwatch() {
				return context.Cause(ctx)
			}
			ctx = context.Background()
			_ = s.channel.SetDeadline(time.Now().Add(takeoverWait))
			if err := s.channel.say(serve, ""); err != nil {
				return s.why(ctx, said, err)
			}
		case serving:
			return nil
		default:
			return fmt.Errorf("it said %q, which is none of the words it should know", word)
		}
	}
}

// why makes an error of what s has said last, and how it has ended. err is that of the channel.
func (s *successor) why(ctx context.Context, said string, err error) error {
	reason := "it has closed the channel: " + err.Error()
	select {
	case <-s.ended:
		reason = "it ended with " + s.status
	case <-ctx.Done():
		reason = context.Cause(ctx).Error()
	case <-time.After(endWait):
	}
	if said != "" {
		reason += ": " + said
	}
	return errors.New(reason)
}

// kill returns when s is no more.
func (s *successor) kill() {
	_ = s.process.Kill()
	<-s.ended
}

// duplicate returns the socket as a file that another process can get. The File method of a
// listener would do that, too, but the Fd method of what it returns, which os/exec calls, puts the
// socket into blocking mode, in this process as well: an Accept that is blocked by the kernel
// cannot be held, and takes one more connection after the server has gone.
func duplicate(socket net.Listener) (*os.File, error) {
	conn, ok := socket.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T has no descriptor", socket)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	err = raw.Control(func(original uintptr) {
		syscall.ForkLock.RLock() // no process may be started between the two calls
		defer syscall.ForkLock.RUnlock()
		if fd, dupErr = syscall.Dup(int(original)); dupErr == nil {
			syscall.CloseOnExec(fd)
		}
	})
	if err := errors.Join(err, dupErr); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

// socketPair returns two ends of a channel, neither of which is inherited by itself.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[0]), "channel")
	defer f.Close()
	theirs = os.NewFile(uintptr(fds[1]), "channel")
	if ours, err = net.FileConn(f); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
