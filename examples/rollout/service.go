package main

import (
	"context"
	"errors"
	"io"
	"time"
)

// A service is what is replaced: replicas, each a process of its own, behind a balancer. Only one
// goroutine uses it.
type service struct {
	template  replicaConfig // of each replica, without its address
	mode      string
	stderr    io.Writer
	addresses *addresses
	balancer  balancer
	replicas  []*replica
	spare     string // the address of the next replica, in modeSurge
	report    []byte // of the last replica that was stopped with gracekit
}

func startService(
	ctx context.Context, cfg config, e experiment, stop string, stderr io.Writer,
) (_ *service, err error) {
	addresses, err := reserve(cfg.replicas+1, isHTTP3(e.Traffic))
	if err != nil {
		return nil, err
	}
	s := &service{
		template:  replicaConfig{Traffic: e.Traffic, Stop: stop, Work: cfg.work, Delay: cfg.delay},
		mode:      e.Mode,
		stderr:    stderr,
		addresses: addresses,
		spare:     addresses.all[cfg.replicas],
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	used := addresses.all[:cfg.replicas]
	for _, addr := range used {
		r, err := startReplica(ctx, s.at(addr), stderr)
		if err != nil {
			return nil, err
		}
		s.replicas = append(s.replicas, r)
	}
	if e.Mode == modeSurge {
		used = addresses.all
	}
	s.balancer, err = startBalancer(ctx, cfg, e, used, len(s.replicas))
	return s, err
}

func (s *service) at(addr string) replicaConfig {
	c := s.template
	c.Address = addr
	return c
}

// replaceAll replaces one replica after the other, until there were enough replacements and
// requests. It tells how long each stop took.
func (s *service) replaceAll(
	ctx context.Context, cfg config, c *clients, tell func(stop time.Duration),
) error {
	for n := 0; ; n++ {
		if requests, _ := c.count(); n >= cfg.replacements && requests >= cfg.requests {
			return nil
		}
		replace := s.surge
		if s.mode == modeSamePort {
			replace = s.replaceInPlace
		}
		stop, err := replace(ctx, n%cfg.replicas)
		if err != nil {
			return err
		}
		tell(stop)
	}
}

// surge starts a new replica and, when the balancer sends requests to it, stops the i-th, as a
// Deployment with maxSurge 1 and maxUnavailable 0 does. It returns how long the old one took to
// end.
func (s *service) surge(ctx context.Context, i int) (time.Duration, error) {
	fresh, err := startReplica(ctx, s.at(s.spare), s.stderr)
	if err != nil {
		return 0, err
	}
	old := s.replicas[i]
	s.replicas[i], s.spare = fresh, old.addr
	defer old.kill()
	if err := errors.Join(s.balancer.add(fresh.addr), s.balancer.settle(ctx)); err != nil {
		return 0, err
	}
	stop, err := s.stop(old)
	return stop, errors.Join(err, s.balancer.settle(ctx))
}

// replaceInPlace stops the i-th replica, and starts one that waits for its port.
func (s *service) replaceInPlace(ctx context.Context, i int) (time.Duration, error) {
	type started struct {
		replica *replica
		err     error
	}
	old := s.replicas[i]
	defer old.kill()
	starting := make(chan started, 1)
	go func() {
		r, err := startReplica(ctx, s.at(old.addr), s.stderr)
		starting <- started{r, err}
	}()
	stop, err := s.stop(old)
	if err != nil {
		old.kill() // so that its port is free
	}
	fresh := <-starting
	if fresh.err == nil {
		s.replicas[i] = fresh.replica
	}
	return stop, errors.Join(err, fresh.err, s.balancer.add(old.addr), s.balancer.settle(ctx))
}

func (s *service) stop(old *replica) (time.Duration, error) {
	if err := s.balancer.remove(old.addr); err != nil {
		return 0, err
	}
	begin := time.Now()
	err := old.stop(s.template.Stop)
	s.report = old.report
	return time.Since(begin), err
}

// close ends what is still there when the experiment is over.
func (s *service) close() {
	if s.balancer != nil {
		s.balancer.close()
	}
	for _, r := range s.replicas {
		r.kill()
	}
	s.addresses.release()
}
