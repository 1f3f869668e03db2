//go:build unix

// Command upgrade is a server that replaces itself by a new binary on the same listening socket,
// without refusing a connection or losing a request. SIGHUP or SIGUSR2 starts the file that is now
// where this program was started from; when that is healthy, it takes over and this process drains.
//
//	go build -C examples -o /tmp/server ./upgrade && /tmp/server -pid-file /tmp/server.pid
//
// Where systemd runs the service, its socket activation does this without any of the code here: see
// package shutdown/systemd. If it shall be this all the same, systemd follows from one process to
// the next.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/shutdown/systemd"
	"github.com/gracekit/gracekit/signals"
)

func main() { os.Exit(mainStatus()) }

func mainStatus() int {
	old, err := inherit()
	if err == nil {
		err = run(os.Args, old, os.Stderr)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp): // the flag package has printed it
		return 0
	}
	old.tell(failed, err.Error()) // so that it can say why it goes on serving
	fmt.Fprintln(os.Stderr, "upgrade:", err)
	return 1
}

// run is one life of the service; old is the process that is to be replaced, or nil.
func run(args []string, old *predecessor, stderr io.Writer) error {
	cfg, err := parseFlags(args[1:], stderr)
	if err != nil {
		return err
	}
	path, err := pathOf(args[0])
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil)).With("pid", os.Getpid()) // old and new process write to one terminal
	gs := shutdown.New(shutdown.Grace(cfg.grace), shutdown.Linger(cfg.linger), shutdown.Logger(log))

	// From here on these signals do not kill. They are not given back before the end: one that
	// comes during the drain has no effect.
	u := &upgrader{
		gs: gs, log: log, path: path, args: args[1:], pidFile: cfg.pidFile, within: cfg.healthTimeout,
		unable: "this process is not serving yet",
	}
	stopHandling := signals.Handle(context.Background(), u.handle, syscall.SIGHUP, syscall.SIGUSR2)
	defer stopHandling()

	// The socket is bound before anything else can fail, and accepted from last of all: what
	// connects meanwhile waits in its queue, or is accepted by the old process.
	if old != nil {
		u.socket = old.socket
	} else if u.socket, err = net.Listen("tcp", cfg.addr); err != nil {
		return err
	}
	defer u.socket.Close()
	public, err := gs.HoldListener(u.socket)
	if err != nil {
		return err
	}
	// Whoever asks the socket for its health may be answered by the old process. So the new one has
	// a way in of its own.
	private, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer private.Close()

	checks, err := newChecks(cfg.store)
	if err != nil {
		return err
	}
	handler := newHandler(checks)
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	wayIn := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	defer removePIDFile(cfg.pidFile)
	// What one of these refuses comes out of Run.
	gs.AddManager(posixsignal.New(), systemd.New())
	gs.Go("checks", checks.Run)
	gs.GoHTTP("private", wayIn, private)
	gs.Go("take over", func(ctx context.Context) error {
		if err := waitUntilHealthy(ctx, private, cfg.healthTimeout, old); err != nil {
			return err
		}
		if err := old.askForTheSocket(ctx); err != nil {
			return err
		}
		if err := writePIDFile(cfg.pidFile); err != nil {
			return err
		}
		if err := gs.GoHTTP("http", srv, public); err != nil {
			return err
		}
		old.tell(serving, "") // and the old process tells systemd which is the main one now
		if old == nil {
			if err := systemd.Ready(); err != nil {
				return err
			}
		}
		u.allow()
		log.Info("serving", "url", fmt.Sprintf("http://%v/", public.Addr()), "version", version)
		return wayIn.Close()
	})
	return gs.Run(context.Background())
}

// pathOf returns the absolute path of the program as it was called. [os.Executable] would be wrong:
// it follows symbolic links, and the file where /srv/current/api points to today is not the one
// where it points to after the next deployment.
func pathOf(arg0 string) (string, error) {
	path, err := exec.LookPath(arg0)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path) // now: the working directory may change later
}

// waitUntilHealthy asks this process itself, through the handler that the clients will get. The old
// process hears what is missing.
func waitUntilHealthy(ctx context.Context, private net.Listener, within time.Duration, old *predecessor) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	said := ""
	return health.Wait(ctx, health.Listener(private, "/readyz"), health.OnAttempt(func(a health.Attempt) {
		if a.Err != nil && a.Err.Error() != said {
			said = a.Err.Error()
			old.tell(waiting, said)
		}
	}))
}
