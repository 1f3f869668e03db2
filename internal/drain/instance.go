package drain

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// An instance is one run of the program, in a process group of its own.
type instance struct {
	cmd     *exec.Cmd
	mark    string // in the environment of the process and its descendants
	ports   []int
	dir     string // holds all that is made for this instance
	data    string // for its own files
	temp    string // its TMPDIR
	output  tail
	reader  *os.File      // the end of the pipe that output is read from
	read    chan struct{} // closed when that pipe has no more
	begun   time.Time     // before it was started
	ended   chan struct{} // closed when the process has ended
	endedAt time.Time     // set before ended is closed, as cmd.ProcessState
	spare   func() bool   // keeps the end of the context from killing it
}

const markVariable = "DRAINTEST_INSTANCE"

// launch starts the program and waits for nothing. It gets other ports than those that are given if
// it needs more. The end of ctx kills it, so that no experiment waits for it any longer.
func (p *program) launch(ctx context.Context, ports ...int) (*instance, error) {
	in, err := newInstance(max(p.ports(), 1), ports)
	if err != nil {
		return nil, err
	}
	args := p.arguments(in.ports, in.data)
	in.cmd = exec.Command(args[0], args[1:]...)
	if p.PortEnv != "" {
		in.cmd.Env = []string{p.PortEnv + "=" + strconv.Itoa(in.ports[0])}
	}
	if err := in.launch(ctx); err != nil {
		return nil, fmt.Errorf("the program cannot be started: %w", err)
	}
	return in, nil
}

// newInstance returns one that has what it needs, but its cmd.
func newInstance(n int, ports []int) (*instance, error) {
	in := &instance{mark: rand.Text(), ports: slices.Clone(ports), ended: make(chan struct{}), read: make(chan struct{})}
	for len(in.ports) < n {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		in.ports = append(in.ports, port)
	}
	var err error
	if in.dir, err = os.MkdirTemp("", "draintest"); err != nil {
		return nil, err
	}
	in.data = filepath.Join(in.dir, "dir")
	in.temp = filepath.Join(in.dir, "tmp")
	if err := errors.Join(os.Mkdir(in.data, 0o700), os.Mkdir(in.temp, 0o700)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(in.dir))
	}
	return in, nil
}

// launch starts in.cmd. If it cannot be started, nothing is left of the instance.
func (in *instance) launch(ctx context.Context) error {
	in.begun = time.Now()
	in.cmd.Env = slices.Concat(os.Environ(), in.cmd.Env,
		[]string{"TMPDIR=" + in.temp, markVariable + "=" + in.mark})
	setGroup(in.cmd)
	if err := in.run(); err != nil {
		return errors.Join(err, os.RemoveAll(in.dir))
	}
	in.spare = context.AfterFunc(ctx, in.kill)
	return nil
}

func (in *instance) run() error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer writer.Close()
	in.reader, in.cmd.Stdout, in.cmd.Stderr = reader, writer, writer
	restore := takeInterrupt()
	defer restore()
	if err := in.cmd.Start(); err != nil {
		reader.Close()
		return err
	}
	go func() {
		in.output.readFrom(reader)
		close(in.read)
	}()
	go func() {
		_ = in.cmd.Wait() // the status is in ProcessState
		in.endedAt = time.Now()
		close(in.ended)
	}()
	return nil
}

// freePort returns a port that is free now. It is none of those that the system gives to outgoing
// connections, which the load would take away before the program has it.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 10_000 + mathrand.IntN(20_000)
		var l net.Listener
		if l, err = net.Listen("tcp", address(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (in *instance) addr() string { return address(in.ports[0]) }

const (
	readyWithin = 30 * time.Second
	tick        = 20 * time.Millisecond
)

// start starts the program and waits until it is ready. It tries once more if the program ends:
// another process may have taken the port.
func (p *program) start(ctx context.Context, ports ...int) (*instance, error) {
	p.starting <- struct{}{}
	defer func() { <-p.starting }()
	var err error
	for range 2 {
		var in *instance
		if in, err = p.launch(ctx, ports...); err != nil {
			return nil, err
		}
		if err = p.awaitReady(ctx, in); err == nil {
			return in, nil
		}
		err = in.failed(err)
		if context.Cause(ctx) != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, err
}

func (p *program) awaitReady(ctx context.Context, in *instance) error {
	return in.awaitUp(ctx, "ready",
		func() bool { return p.isReady(ctx, in) },
		func() string { return p.unready(ctx, in) })
}

// awaitUp waits until up reports true, which is what the state is called. why says why it does not.
func (in *instance) awaitUp(ctx context.Context, state string, up func() bool, why func() string) error {
	for deadline := in.begun.Add(readyWithin); ; {
		if up() {
			return nil
		}
		if in.hasEnded() {
			return fmt.Errorf("it ended before it was %s, with %s", state, in.status())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it was not %s within %v: %s", state, readyWithin, why())
		}
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
}

// failed closes the instance, after which there is no more output, and returns err with what the
// program has written.
func (in *instance) failed(err error) error {
	in.close()
	return fmt.Errorf("%w; %s", err, in.output.String())
}

// await waits until the process has ended, at most for d.
func (in *instance) await(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-in.ended:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return in.hasEnded()
}

func (in *instance) hasEnded() bool {
	select {
	case <-in.ended:
		return true
	default:
		return false
	}
}

// signal sends a signal to the process, and to none of its children, as platforms do.
func (in *instance) signal(sig syscall.Signal) {
	_ = in.cmd.Process.Signal(sig) // it fails only if the process has ended, which is looked for later
}

// status says how the process has ended.
func (in *instance) status() exitStatus { return statusOf(in.cmd.ProcessState) }

// close ends what is left of the instance and removes its files.
func (in *instance) close() {
	in.spare()
	in.kill()
	<-in.ended
	for range 2 {
		select {
		case <-in.read:
		case <-time.After(time.Second): // a descendant holds the pipe; it was being started just now
			in.kill()
		}
	}
	in.reader.Close()
	_ = os.RemoveAll(in.dir)
}

// An exitStatus is an exit status, or the negative number of the signal that ended a process.
type exitStatus int

// clean tells whether the status is that of a program that has obeyed sig. Java ends with 143 after
// an orderly stop, and others follow the shell.
func (s exitStatus) clean(sig syscall.Signal) bool { return s == 0 || s == 128+exitStatus(sig) }

func (s exitStatus) String() string {
	if s < 0 {
		return fmt.Sprintf("signal %d (%v)", -s, syscall.Signal(-s))
	}
	return fmt.Sprintf("exit status %d", int(s))
}

// A tail keeps the end of what a program has written.
type tail struct {
	mu    sync.Mutex
	buf   []byte
	total int
}

const tailSize = 4096

func (t *tail) readFrom(r *os.File) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		t.mu.Lock()
		t.total += n
		t.buf = append(t.buf, buf[:n]...)
		t.buf = append(t.buf[:0], t.buf[max(0, len(t.buf)-tailSize):]...)
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// String is for the end of an error's text.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(t.buf))
	if text == "" {
		return "it has written nothing"
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-15):]
	for i, line := range lines {
		lines[i] = oneline.Escape(oneline.Cut(strings.TrimRight(line, "\r"), 200))
	}
	return fmt.Sprintf("the last of the %d bytes that it has written:\n    ", t.total) +
		strings.Join(lines, "\n    ")
}
