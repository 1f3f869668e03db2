//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

// inheritedVariable is set for a process that gets the listening socket as descriptor 3 and its end
// of the channel as descriptor 4. This is not systemd's LISTEN_FDS: that names the process that is
// meant, whose ID nobody knows before it runs.
const inheritedVariable = "UPGRADE_INHERITED"

// A predecessor is the process that this one is to replace. The methods of nil, for a process that
// replaces none, do nothing.
type predecessor struct {
	socket  net.Listener
	channel *channel
}

// inherit returns what this process was started with. It has to be called first of all, before
// anything else is opened or started.
func inherit() (*predecessor, error) {
	if os.Getenv(inheritedVariable) == "" {
		return nil, nil //nolint:nilnil // documented above
	}
	if err := os.Unsetenv(inheritedVariable); err != nil { // it is not meant for what this process starts
		return nil, err
	}
	// Package net makes a duplicate that is not inherited any further; closing the file closes the
	// original.
	conn, err := takeFile(4, net.FileConn)
	if err != nil {
		return nil, err
	}
	old := &predecessor{channel: newChannel(conn)}
	old.socket, err = takeFile(3, net.FileListener)
	return old, err
}

func takeFile[T any](fd uintptr, use func(*os.File) (T, error)) (T, error) {
	f := os.NewFile(fd, "inherited")
	defer f.Close()
	got, err := use(f)
	if err != nil {
		return got, fmt.Errorf("%s is set, but descriptor %d is not what it promises: %w", inheritedVariable, fd, err)
	}
	return got, nil
}

// tell says something that no answer is waited for. If nobody listens any more, askForTheSocket
// finds out.
func (p *predecessor) tell(word, why string) {
	if p != nil {
		_ = p.channel.SetWriteDeadline(time.Now().Add(time.Second))
		_ = p.channel.say(word, why)
	}
}

// askForTheSocket says that this process is healthy, and returns when the old one lets it accept.
// If that is gone instead, somebody has ended it, and would not expect that a process serves which
// he has never heard of.
func (p *predecessor) askForTheSocket(ctx context.Context) error {
	if p == nil {
		return nil
	}
	p.tell(healthy, "")
	stop := context.AfterFunc(ctx, func() { _ = p.channel.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	word, _, err := p.channel.hear()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil: // the end of the channel, or a reset if there was something that it has not read
		return fmt.Errorf("the old process has ended before it handed over: %w", err)
	case word != serve:
		return fmt.Errorf("the old process said %q, want %q", word, serve)
	}
	return nil
}
