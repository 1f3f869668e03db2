package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// This program starts itself again, as a replica or as the minder of a balancer. What a child is to
// do stands in its environment. It ends when its standard input does, so that none outlives the
// program that has started it, however that ends.
const (
	replicaVariable = "ROLLOUT_REPLICA" // a replicaConfig
	minderVariable  = "ROLLOUT_MINDER"  // the directory of a balancer
)

// runChild does what a child process has to. It reports whether this process is one.
func runChild() (isChild bool, err error) {
	if dir, ok := os.LookupEnv(minderVariable); ok {
		return true, mind(dir, os.Args[1:], os.Stdin)
	}
	if text, ok := os.LookupEnv(replicaVariable); ok {
		var cfg replicaConfig
		if err := json.Unmarshal([]byte(text), &cfg); err != nil {
			return true, fmt.Errorf("%s: %w", replicaVariable, err)
		}
		return true, runReplica(cfg, os.Stdin, os.Stdout)
	}
	return false, nil
}

// child returns a command that runs this program again. It lives until stdin is closed, or ctx
// ends.
func child(
	ctx context.Context, args []string, variable, value string,
) (cmd *exec.Cmd, stdin io.Closer, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd = exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), variable+"="+value)
	stdin, err = cmd.StdinPipe()
	return cmd, stdin, err
}

// A replica is this program again, as a process that serves.
type replica struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout io.Reader
	addr   string
	report []byte // of its stop with gracekit, when it has ended
}

// startReplica returns when the new process accepts connections. It is killed when ctx ends.
func startReplica(ctx context.Context, cfg replicaConfig, stderr io.Writer) (*replica, error) {
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	cmd, stdin, err := child(ctx, nil, replicaVariable, string(text))
	if err != nil {
		return nil, err
	}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a replica: %w", err)
	}
	lines := bufio.NewReader(stdout)
	r := &replica{cmd: cmd, stdin: stdin, stdout: lines, addr: cfg.Address}
	if _, err := lines.ReadString('\n'); err != nil {
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("a replica did not start: %w", errors.Join(err, cmd.Wait()))
	}
	return r, nil
}

// stop returns when the process has ended, with an error if it did not end well.
func (r *replica) stop(way string) error {
	if way == stopKill {
		r.kill()
		return nil
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping a replica: %w", err)
	}
	var readErr error
	r.report, readErr = io.ReadAll(r.stdout) // before Wait, which closes the pipe
	if err := errors.Join(r.cmd.Wait(), readErr); err != nil {
		return fmt.Errorf("a replica ended with %w", err)
	}
	return nil
}

// kill does nothing to a replica that has ended.
func (r *replica) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait() // "signal: killed" is what was asked for
	r.stdin.Close()
}

// mind runs the program of a balancer in dir until stdin ends, and then removes dir.
func mind(dir string, command []string, stdin io.Reader) error {
	defer os.RemoveAll(dir)
	// A Ctrl-C goes to this process, too, which ends when stdin does. Signals that are ignored
	// would be so for the balancer as well, hence a channel that nobody reads.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)

	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = io.Copy(io.Discard, stdin)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("%s ended: %w", strings.Join(command, " "), err)
	case <-asked:
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // nginx ends its workers, which a SIGKILL would not
	select {
	case <-ended: //nolint:errcheck // it was told to end
	case <-time.After(3 * time.Second):
		_ = cmd.Process.Kill()
		<-ended //nolint:errcheck // killed
	}
	return nil
}
