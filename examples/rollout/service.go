package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A service is what is replaced: replicas, each a process of its own, behind a balancer. Only one goroutine uses it.
type service struct {
	args     []string // of each replica
	way      string   // how they are stopped
	stderr   io.Writer
	balancer *balancer
	replicas []*replica
}

func startService(ctx context.Context, cfg config, traffic, way string, stderr io.Writer) (*service, error) {
	s := &service{
		args:     []string{"-traffic", traffic, "-stop", way, "-work", cfg.work.String(), "-lag", cfg.lag.String(), "-delay", cfg.delay.String()},
		way:      way,
		stderr:   stderr,
		balancer: &balancer{lag: cfg.lag},
	}
	for range cfg.replicas {
		r, err := startReplica(ctx, s.args, stderr)
		if err != nil {
			s.kill()
			return nil, err
		}
		s.replicas = append(s.replicas, r)
		s.balancer.endpoints = append(s.balancer.endpoints, r.addr)
	}
	return s, nil
}

// replace starts a new replica and, when it is ready, stops the i-th, as a Deployment with maxSurge 1 and maxUnavailable 0 does. The
// balancer is told of both when they happen, and learns it late. It returns how long the old one took to end.
func (s *service) replace(ctx context.Context, i int) (seconds, error) {
	fresh, err := startReplica(ctx, s.args, s.stderr)
	if err != nil {
		return 0, err
	}
	old := s.replicas[i]
	s.replicas[i] = fresh
	added := s.balancer.learn(with(fresh.addr))

	begin := time.Now()
	removed := s.balancer.learn(without(old.addr))
	err = old.stop(s.way)
	drain := seconds(time.Since(begin).Seconds())
	<-added
	<-removed
	return drain, errors.Join(err, ctx.Err())
}

// kill ends what is still there when the experiment is over.
func (s *service) kill() {
	for _, r := range s.replicas {
		_ = r.stop(stopKill)
	}
}

// A replica is this program again, as a process that serves.
type replica struct {
	cmd   *exec.Cmd
	stdin io.Closer // while it is open, the replica lives
	addr  string
}

// startReplica returns when the new process accepts connections. It is killed when ctx ends.
func startReplica(ctx context.Context, args []string, stderr io.Writer) (*replica, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), replicaVariable+"=1")
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		if waited := cmd.Wait(); waited != nil {
			err = waited
		}
		return nil, fmt.Errorf("a replica did not start: %w", err)
	}
	return &replica{cmd: cmd, stdin: stdin, addr: strings.TrimSpace(line)}, nil
}

// stop returns when the process has ended, with an error if it did not end well.
func (r *replica) stop(way string) error {
	defer r.stdin.Close()
	if way == stopKill {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait() // "signal: killed" is what was asked for
		return nil
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("a replica ended with %w", err)
	}
	return nil
}
