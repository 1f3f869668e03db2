package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/fx"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

// grace is how long a replica may take to stop, in every way of stopping but kill.
const grace = 25 * time.Second

// A replicaConfig is what a replica is told when it is started.
type replicaConfig struct {
	Address     string
	Traffic     string
	Stop        string
	Work, Delay time.Duration
}

// runReplica is main in the processes that serve. It writes a line to stdout when it accepts
// connections and can be stopped, and returns when it has stopped. With gracekit it then writes the
// report of its stop, as JSON.
func runReplica(cfg replicaConfig, stdin io.Reader, stdout io.Writer) error {
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		os.Exit(1)
	}()
	announce := func() { fmt.Fprintln(stdout, cfg.Address) }
	switch cfg.Stop {
	case stopGracekit:
		return stopWithGracekit(cfg, announce, stdout)
	case stopFx:
		return stopWithFx(cfg, announce)
	default:
		return stopByHand(cfg, announce)
	}
}

func stopWithGracekit(cfg replicaConfig, announce func(), stdout io.Writer) error {
	gs := shutdown.New(shutdown.Grace(grace), shutdown.Delay(cfg.Delay))
	srv, err := newServer(cfg, gs.Draining())
	if err != nil {
		return err
	}
	if err := srv.addTo(gs); err != nil {
		return err
	}
	if err := gs.AddManager(posixsignal.New()); err != nil {
		return err
	}
	if err := gs.Start(context.Background()); err != nil {
		return err
	}
	announce()
	return errors.Join(gs.Wait(), json.NewEncoder(stdout).Encode(gs.Report()))
}

// stopWithFx has the hooks of fx's documentation. It has no place for a delay.
func stopWithFx(cfg replicaConfig, announce func()) error {
	srv, err := newServer(cfg, nil)
	if err != nil {
		return err
	}
	fx.New(fx.NopLogger, fx.StopTimeout(grace), fx.Invoke(func(lc fx.Lifecycle) {
		lc.Append(fx.Hook{
			OnStart: func(context.Context) error {
				go func() { _ = srv.serve() }()
				announce()
				return nil
			},
			OnStop: srv.stop,
		})
	})).Run()
	return nil
}

// stopByHand is what one finds in many services, written with care: the signal is registered before
// anything is served, and main waits for Shutdown, not for Serve. With a sleep, health checks fail
// from the signal on.
func stopByHand(cfg replicaConfig, announce func()) error {
	draining := make(chan struct{})
	srv, err := newServer(cfg, draining)
	if err != nil {
		return err
	}
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	served := make(chan error, 1)
	go func() { served <- srv.serve() }()
	announce()
	select {
	case err := <-served:
		return err
	case <-terminate:
	}
	if cfg.Stop == stopSleep {
		close(draining)
		time.Sleep(cfg.Delay)
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return srv.stop(ctx)
}

// A server is what the ways of stopping need of an HTTP, HTTP/3 or gRPC server.
type server struct {
	serve func() error
	stop  func(context.Context) error
	addTo func(*shutdown.GracefulShutdown) error
}

// newServer listens. Health checks fail when draining is closed.
func newServer(cfg replicaConfig, draining <-chan struct{}) (server, error) {
	if isHTTP3(cfg.Traffic) {
		conn, err := whenFree(cfg.Address, net.ListenPacket, "udp")
		if err != nil {
			return server{}, err
		}
		return newHTTP3Server(cfg, conn, draining)
	}
	l, err := whenFree(cfg.Address, net.Listen, "tcp")
	if err != nil {
		return server{}, err
	}
	if cfg.Traffic == trafficUnary || cfg.Traffic == trafficStream {
		return newGRPCServer(cfg, l), nil
	}
	return newHTTPServer(cfg, l, draining), nil
}

// whenFree waits for the address, which the replica before this one may still have.
func whenFree[T any](
	addr string, listen func(network, address string) (T, error), network string,
) (T, error) {
	for end := time.Now().Add(2 * grace); ; time.Sleep(2 * time.Millisecond) {
		l, err := listen(network, addr)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(end) {
			return l, err
		}
	}
}
