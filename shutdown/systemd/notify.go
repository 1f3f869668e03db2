package systemd

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/oneline"
)

// Ready tells systemd that the service is up: "systemctl start" returns, and units that are ordered
// after this one start. Call it when the service answers, not when it begins to: after its health
// check has passed, its caches are filled, its listeners open. It is also what ends a reload, see
// [Reloading].
//
// Like [Reloading], [Status] and [ExtendTimeout] it does nothing and returns nil without
// NOTIFY_SOCKET, is safe for concurrent use, and waits for 5 seconds at most if the socket is full.
// All of them return an error if NOTIFY_SOCKET names no socket that can be used, or the message
// could not be sent. One of Ready is worth stopping for: with Type=notify systemd kills a service
// that does not become ready in TimeoutStartSec. Nil says that the message was queued, not that
// systemd has acted on it.
func Ready() error { return notify("READY=1\n") }

// Reloading tells systemd that the service begins to read its configuration anew; when that is
// done, call [Ready]. It is what Type=notify-reload asks for in answer to SIGHUP. With it goes the
// time by CLOCK_MONOTONIC (MONOTONIC_USEC, in microseconds), by which systemd knows that this is
// the answer to its own signal and not to an earlier one; off Linux, where there is no systemd, it
// is left out.
func Reloading() error {
	state := "RELOADING=1\n"
	if now, ok := monotonicNow(); ok {
		state += fmt.Sprintf("MONOTONIC_USEC=%d\n", now.Microseconds())
	}
	return notify(state)
}

// Status sets the line that "systemctl status" shows for the service, for people: how far a long
// start has come, what is being waited for. Line breaks and other characters that are not printable
// are escaped, and what is beyond 2048 bytes is cut off. The manager of New sets the status too,
// when the check of [Watchdog] begins or ceases to fail and when the service stops.
func Status(text string) error { return notify(statusLine(text) + "\n") }

// ExtendTimeout asks systemd for d from now on, for a start that takes long: a migration, a cache
// to fill, a log to replay. Without it, with Type=notify, systemd kills a service that does not
// become ready in TimeoutStartSec. It works in a reload, too, and while the service stops, where
// the manager of New does it already.
//
// Systemd only listens before the timeout is over. Once TimeoutStartSec has passed, the service has
// to call this again before d is over, or [Ready]; so ask for twice the time between two calls or
// more, and only while there is progress. With a d that is not positive nothing is sent, and an
// error returned.
func ExtendTimeout(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("systemd: ExtendTimeout(%v): must be positive", d)
	}
	usec := (d-1)/time.Microsecond + 1 // rounded up: systemd ignores 0
	return notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\n", usec))
}

const notifyWait = 5 * time.Second

// notify sends state and the descriptors that go with it.
func notify(state string, fds ...int) error {
	address, err := notifyAddress(os.Getenv("NOTIFY_SOCKET"))
	if err != nil || address == "" {
		return err
	}
	return send(context.Background(), address, notifyWait, state, fds...)
}

// MainPID tells systemd that the service goes on in another process of it, as when a service starts
// its own successor: when this process ends, the service has not. The process that is the main one
// so far says it, before it ends, about one that it has started; with NotifyAccess=all the new one
// may say it itself. From then on it is the new process that systemd listens to. With a pid that is
// not positive nothing is sent, and an error returned.
func MainPID(pid int) error {
	if pid <= 0 {
		return fmt.Errorf("systemd: MainPID(%d): must be positive", pid)
	}
	return notify(fmt.Sprintf("MAINPID=%d\n", pid))
}

// notifyAddress checks the form of an address as sd_notify(3) describes it, and returns it in the
// notation of package net, which happens to be the same.
func notifyAddress(socket string) (string, error) {
	unusable := func(why string) (string, error) {
		return "", fmt.Errorf("systemd: NOTIFY_SOCKET is %q: %s", socket, why)
	}
	switch {
	case socket == "":
		return "", nil
	case strings.HasPrefix(socket, "vsock"):
		return unusable("addresses of virtual machines (vsock) are not supported, want an absolute path or @name")
	case socket == "/", socket == "@", socket[0] != '/' && socket[0] != '@':
		return unusable("want an absolute path or @name")
	case strings.ContainsRune(socket, 0):
		return unusable("it contains a zero byte")
	case socket[0] == '@' && runtime.GOOS != "linux":
		return unusable("only Linux has abstract sockets, want an absolute path")
	}
	return socket, nil
}

// send sends one datagram. It waits for room in the queue of the socket until wait is over or ctx
// ends.
//
// Each message gets a socket of its own, as in libsystemd, so that there is nothing to keep. It is
// connected, because that is what makes a full queue something to wait for with a deadline.
func send(ctx context.Context, address string, wait time.Duration, state string, fds ...int) error {
	err := func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
		if err != nil {
			return err
		}
		defer conn.Close()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		return write(conn, state, fds, func() {
			// Not before: a process that gets no processor misses deadlines that nothing needs.
			_ = conn.SetWriteDeadline(time.Now().Add(wait))
			context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })
		})
	}()
	if err != nil {
		first, _, _ := strings.Cut(state, "\n")
		if name, _, ok := strings.Cut(first, "="); ok && name == "STATUS" {
			first = name
		}
		return fmt.Errorf("systemd: sending %s: %w", first, err)
	}
	return nil
}

// maxStatus leaves room for other assignments: systemd ignores datagrams of more than 4096 bytes
// (NOTIFY_BUFFER_MAX in its source).
const maxStatus = 2048

// statusLine returns "STATUS=" and text as one line. A line break in it, say from a client's input
// in an error, would begin another assignment; bytes that are not UTF-8 would make systemd drop the
// whole of it.
func statusLine(text string) string {
	return "STATUS=" + oneline.Cut(oneline.Escape(text), maxStatus-len("…"))
}

// reasonText returns the first line of err. What follows it are the stack of a panic, or others
// that are joined to it. The wait for Error is short, and it cannot panic here.
func reasonText(err error) string {
	if err == nil {
		return "requested"
	}
	return oneline.First(guard.Text(err))
}
