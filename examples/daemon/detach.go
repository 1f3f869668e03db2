//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/signals"
)

// detach starts this program once more as a daemon, and returns when that serves, has failed, or is
// late. A Go program cannot fork, because of the other threads of its runtime: it can only start a
// program anew.
//
// A classic daemon forks twice, so that it does not lead its session and can never get a
// controlling terminal. The one fork of starting a program is enough here, because the log file,
// which may be given as a terminal, is opened with O_NOCTTY; see redirect.
func detach(cfg config, stdout io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), cfg.startTimeout,
		fmt.Errorf("it does not serve within -start-timeout %v", cfg.startTimeout))
	defer cancel()
	ctx, release := signals.NotifyContext(ctx)
	defer release()

	takeIgnored(syscall.SIGHUP, syscall.SIGINT)
	closeInherited()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	answer, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer answer.Close()
	daemon := exec.Command(self, os.Args[1:]...)
	daemon.Env = append(os.Environ(), starterVariable+"=1")
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a session of its own: no terminal, no Ctrl-C, no hang-up
	daemon.Stderr = os.Stderr                               // until it serves; standard input and output are /dev/null
	daemon.ExtraFiles = []*os.File{pipe}                    // descriptor 3
	err = daemon.Start()
	_ = pipe.Close() // the daemon has it; the answer ends when the daemon closes it, in whatever way
	if err != nil {
		return err
	}
	return awaitAnswer(ctx, daemon, answer, cfg, stdout)
}

// The answer of the daemon is one of these words and a text.
const (
	answerServes = "serves "
	answerFailed = "failed "
)

func awaitAnswer(ctx context.Context, daemon *exec.Cmd, answer *os.File, cfg config, stdout io.Writer) error {
	stop := context.AfterFunc(ctx, func() { _ = answer.SetReadDeadline(time.Now()) })
	defer stop()
	said, err := io.ReadAll(answer)
	pid := daemon.Process.Pid
	if err != nil {
		// Not waited for: nothing that the daemon does may hold its starter up, and to be killed
		// may take long, on a dead NFS server.
		return fmt.Errorf("pid %d: %w: killed", pid, errors.Join(context.Cause(ctx), daemon.Process.Kill()))
	}
	if url, ok := strings.CutPrefix(string(said), answerServes); ok {
		fmt.Fprintf(stdout, "daemon: pid %d serves at %s\n", pid, url)
		return nil
	}
	if text, ok := strings.CutPrefix(string(said), answerFailed); ok {
		return errors.New(text)
	}
	hint := ""
	if cfg.logFile != "" {
		hint = ", see " + cfg.logFile
	}
	_ = daemon.Wait() // it has ended: nothing else closes the pipe without a word
	return fmt.Errorf("pid %d ended before it served: %v%s", pid, daemon.ProcessState, hint)
}

// takeIgnored undoes what nohup and shells without job control do: a program inherits a signal that
// is ignored as ignored, and the daemon would never reload. One that is caught, it inherits as the
// default.
func takeIgnored(sigs ...os.Signal) {
	for _, sig := range sigs {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

// closeInherited keeps the daemon from getting descriptors that this process was started with, such
// as a pipe to whoever called it, who would wait for its end. Go opens each of its own files with
// close-on-exec, so all that a program gets from it is what it is given deliberately; but those of
// others it passes on. There is no portable list of them, and nobody has more than a few.
func closeInherited() {
	for fd := 3; fd < 1024; fd++ {
		syscall.CloseOnExec(fd)
	}
}
