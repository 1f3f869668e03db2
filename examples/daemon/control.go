//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/gracekit/gracekit/health"
)

// errNotRunning is returned when nobody holds the pid file.
var errNotRunning = errors.New("not running")

func printStatus(cfg config, stdout io.Writer) error {
	d, err := findDaemon(cfg.pidFile)
	if err != nil {
		return err
	}
	defer d.close()
	fmt.Fprintf(stdout, "daemon: running, pid %d\n", d.process.Pid)
	return nil
}

func requestReload(cfg config) error {
	d, err := findDaemon(cfg.pidFile)
	if err != nil {
		return err
	}
	defer d.close()
	return d.signal(syscall.SIGHUP)
}

// requestStop returns when the process is gone. That nothing runs is no error, as it is none for
// init scripts.
func requestStop(cfg config, stdout io.Writer) error {
	d, err := findDaemon(cfg.pidFile)
	if errors.Is(err, errNotRunning) {
		fmt.Fprintf(stdout, "daemon: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	if err := d.signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.stopTimeout)
	defer cancel()
	if err := health.Wait(ctx, d.gone); err != nil {
		return fmt.Errorf("pid %d has got SIGTERM, and still runs after -stop-timeout %v", d.process.Pid, cfg.stopTimeout)
	}
	fmt.Fprintf(stdout, "daemon: pid %d has stopped\n", d.process.Pid)
	return nil
}

// A runningDaemon is the process that holds the lock of a pid file.
type runningDaemon struct {
	file    *os.File
	process *os.Process
}

// findDaemon finds it by the lock, not by what the file says: of a daemon that died without a
// chance to remove its file, the number may belong to some other process by now.
func findDaemon(path string) (*runningDaemon, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	d := &runningDaemon{file: file}
	if err := d.find(); err != nil {
		d.close()
		if !errors.Is(err, errNotRunning) {
			err = fmt.Errorf("pid file %s: %w", path, err)
		}
		return nil, err
	}
	return d, nil
}

func (d *runningDaemon) find() error {
	pid, err := lockHolder(d.file)
	if err != nil {
		return err
	}
	if pid == 0 {
		return errNotRunning
	}
	if d.process, err = os.FindProcess(pid); err != nil {
		return err
	}
	// On Linux, what FindProcess has found (a pidfd) stays the same process. If the lock still
	// belongs to its number, it is the one.
	holds, err := d.holdsLock()
	if err == nil && !holds {
		err = errNotRunning
	}
	return err
}

func (d *runningDaemon) holdsLock() (bool, error) {
	holder, err := lockHolder(d.file)
	return holder == d.process.Pid, err
}

func (d *runningDaemon) signal(sig os.Signal) error {
	if err := d.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to pid %d: %w", sig, d.process.Pid, err)
	}
	return nil
}

// gone is a probe: it succeeds when the process does not hold its lock any more, which it does as
// long as it runs. To ask for its number would not do: that stays taken until the parent of the
// process has asked how it ended.
func (d *runningDaemon) gone(context.Context) error {
	holds, err := d.holdsLock()
	if err == nil && holds {
		err = errors.New("it runs")
	}
	return err
}

func (d *runningDaemon) close() {
	if d.process != nil {
		_ = d.process.Release()
	}
	_ = d.file.Close()
}
