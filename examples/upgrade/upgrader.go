//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

// An upgrader answers the signals that ask for an upgrade, one at a time.
type upgrader struct {
	gs      *shutdown.GracefulShutdown
	log     *slog.Logger
	path    string // of what to start: not what this process runs, but the file that is there by then
	args    []string
	socket  net.Listener
	pidFile string
	within  time.Duration // for the new process to become healthy

	mu     sync.Mutex
	unable string // why no upgrade can begin now; empty if one can
}

var errStopping = errors.New("this process was asked to stop")

// handle begins an upgrade and does not wait for it, so that a second signal gets its answer at
// once.
func (u *upgrader) handle(_ context.Context, sig os.Signal) {
	unable := u.begin()
	if unable == "" {
		// What runs as a component is waited for when the service stops meanwhile.
		err := u.gs.Go("upgrade", func(context.Context) error {
			u.upgrade()
			return nil // whatever came of it: a failed upgrade is no reason to stop
		})
		if err == nil {
			return
		}
		unable = err.Error() // shutting down
		u.allow()
	}
	u.log.Warn("signal ignored", "signal", sig, "reason", unable)
}

func (u *upgrader) begin() (unable string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.unable == "" {
		u.unable = "an upgrade is in progress"
		return ""
	}
	return u.unable
}

func (u *upgrader) allow() { u.refuse("") }

// refuse says why no upgrade can begin from now on.
func (u *upgrader) refuse(why string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unable = why
}

// upgrade starts a new process and, when that serves, stops this one. If anything goes wrong
// before, the new process is killed, and this one goes on as if nothing had been.
func (u *upgrader) upgrade() {
	ctx, cancel := context.WithTimeoutCause(context.Background(), u.within, fmt.Errorf("it was not healthy within -health-timeout %v", u.within))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-u.gs.Draining():
			stop(errStopping)
		case <-ctx.Done():
		}
	}()

	next, err := startSuccessor(u.path, u.args, u.socket)
	if err != nil {
		u.fail("path", u.path, "reason", err)
		return
	}
	defer next.channel.Close()
	u.log.Info("upgrade begins", "path", u.path, "new_pid", next.process.Pid)

	if err := next.handOver(ctx); err != nil {
		next.kill()
		err = errors.Join(err, writePIDFile(u.pidFile)) // it may have put itself there in its last moment
		if context.Cause(ctx) == errStopping {          //nolint:errorlint // it is as it was given
			u.allow()
			u.log.Warn("upgrade given up", "new_pid", next.process.Pid, "reason", err)
			return
		}
		u.fail("new_pid", next.process.Pid, "reason", err)
		return
	}
	if err := systemd.MainPID(next.process.Pid); err != nil { // or it takes the end of this process for that of the service
		u.log.Warn("the service manager does not follow", "reason", err)
	}
	u.refuse(shutdown.ErrShuttingDown.Error()) // whoever reads of it may ask at once
	if u.gs.Shutdown(fmt.Errorf("replaced by process %d", next.process.Pid)) {
		go u.watch(next)
		return
	}
	// Somebody has asked this process to stop in the last moment, and means the service, which is
	// the new process by now.
	u.log.Warn("upgrade done while stopping: the new process is asked to stop", "new_pid", next.process.Pid)
	_ = next.process.Signal(syscall.SIGTERM)
	<-next.ended
}

// fail says so when the next upgrade can begin, and not before: whoever reads it may try again at
// once.
func (u *upgrader) fail(args ...any) {
	u.allow()
	u.log.Error("upgrade failed, this process goes on serving", args...)
}

// watch tells of a new process that fails while this one drains. One that ends well was stopped, or
// replaced in its turn. It ends with one of the two.
func (u *upgrader) watch(next *successor) {
	<-next.ended
	if !next.well {
		u.log.Error("the new process has ended: nobody serves", "new_pid", next.process.Pid, "status", next.status)
	}
}
