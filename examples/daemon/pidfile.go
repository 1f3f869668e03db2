//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// A pidFile makes sure that one daemon runs, by a lock on the file that lasts as long as the
// process. What the file says is for people only: it may be that of a process that is long dead,
// whose number has been given to another.
//
// The lock is that of fcntl, because the kernel tells who holds it (F_GETLK): so neither a second
// start nor -stop has to believe what the file says, which a daemon that has just got the lock may
// not have written yet. flock does not tell. The price is that the lock is gone if this process
// closes any descriptor of the file: only this type may open it.
type pidFile struct {
	path string
	file *os.File // kept open, and reachable, or the lock would end with it
}

// lockPIDFile creates the file, or takes over that of a dead process, and writes the process ID to
// it. If another process has it, the error gives its ID.
func lockPIDFile(path string) (*pidFile, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // the operator's choice; the umask restricts it
		if err != nil {
			return nil, fmt.Errorf("pid file: %w", err)
		}
		p := &pidFile{path: path, file: file}
		taken, err := p.take()
		if taken {
			return p, nil
		}
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("pid file %s: %w", path, err)
		}
	}
}

// take returns false without an error if it has to be tried anew, because the daemon that had the
// file was just ending.
func (p *pidFile) take() (bool, error) {
	locked, err := p.lock()
	if err != nil {
		return false, err
	}
	if !locked {
		holder, err := lockHolder(p.file)
		if err == nil && holder != 0 {
			err = fmt.Errorf("already running: pid %d", holder)
		}
		return false, err
	}
	if !p.isCurrent() { // it was removed after it was opened here: a lock on a file without a name keeps nobody out
		return false, nil
	}
	err = p.write()
	return err == nil, err
}

func (p *pidFile) lock() (bool, error) {
	whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	err := syscall.FcntlFlock(p.file.Fd(), syscall.F_SETLK, &whole)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) { // POSIX allows both for "taken"
		return false, nil
	}
	return err == nil, err
}

// lockHolder returns the process that has the lock, or 0 if none has. The descriptor may be open
// for reading only.
func lockHolder(file *os.File) (int, error) {
	whole := syscall.Flock_t{Type: syscall.F_RDLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &whole); err != nil {
		return 0, err
	}
	if whole.Type == syscall.F_UNLCK {
		return 0, nil
	}
	if whole.Pid <= 0 { // and never to be sent a signal: 0 and -1 stand for many processes
		return 0, errors.New("locked by a process that has no ID here: it is in another container, or on another machine")
	}
	return int(whole.Pid), nil
}

func (p *pidFile) write() error {
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.file, os.Getpid())
	return err
}

// isCurrent reports whether the path still names the file that is open.
func (p *pidFile) isCurrent() bool {
	opened, err := p.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(p.path)
	return err == nil && os.SameFile(opened, named)
}

// remove removes the file, unless somebody has put another one in its place. The lock is kept until
// the process has ended, which is what -stop waits for.
func (p *pidFile) remove() error {
	if !p.isCurrent() {
		return nil
	}
	return os.Remove(p.path)
}
