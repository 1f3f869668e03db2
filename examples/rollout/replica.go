package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

// grace is how long a replica may take to stop, in every way of stopping but kill.
const grace = 25 * time.Second

// runReplica is main in the processes that serve. It announces its address on stdout when it accepts connections and can be
// stopped, and returns when it has stopped. It does not outlive the program that started it: that holds the other end of stdin.
func runReplica(args []string, stdin io.Reader, stdout io.Writer) error {
	cfg, err := parseFlags(args, io.Discard)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		os.Exit(1)
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	announce := func() { fmt.Fprintln(stdout, listener.Addr()) }

	if traffic := cfg.traffic[0]; traffic == trafficHTTP1 || traffic == trafficHTTP2 {
		return serveHTTP(cfg, listener, announce)
	}
	return serveGRPC(cfg, listener, announce)
}

func serveHTTP(cfg config, listener net.Listener, announce func()) error {
	srv := &http.Server{
		Handler:           echoHandler(cfg.work),
		ReadHeaderTimeout: 30 * time.Second,
		Protocols:         protocols(cfg.traffic[0]),
	}
	if cfg.stop[0] == stopGracekit {
		gs := shutdown.New(shutdown.Grace(grace), shutdown.Delay(cfg.delay))
		gs.GoHTTP("http", srv, listener)
		return stopWithGracekit(gs, announce)
	}
	return stopByHand(cfg, func() error { return srv.Serve(listener) }, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		return srv.Shutdown(ctx)
	}, announce)
}

func serveGRPC(cfg config, listener net.Listener, announce func()) error {
	srv := newGRPCServer(cfg.work)
	if cfg.stop[0] == stopGracekit {
		gs := shutdown.New(shutdown.Grace(grace), shutdown.Delay(cfg.delay))
		gs.GoGRPC("grpc", srv, listener)
		return stopWithGracekit(gs, announce)
	}
	return stopByHand(cfg, func() error { return srv.Serve(listener) }, func() error {
		srv.GracefulStop()
		return nil
	}, announce)
}

func stopWithGracekit(gs *shutdown.GracefulShutdown, announce func()) error {
	gs.AddManager(posixsignal.New())
	if err := gs.Start(context.Background()); err != nil { // what was refused before, too
		return err
	}
	announce()
	return gs.Wait()
}

// stopByHand is what one finds in many services, written with care: the signal is registered before anything is served, and main
// waits for Shutdown, not for Serve.
func stopByHand(cfg config, serve, shutdown func() error, announce func()) error {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	served := make(chan error, 1)
	go func() { served <- serve() }()
	announce()
	select {
	case err := <-served:
		return err
	case <-terminate:
	}
	if cfg.stop[0] == stopSleep {
		time.Sleep(cfg.delay)
	}
	return shutdown()
}

// echoHandler answers with what it was sent.
func echoHandler(work time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		pretendToWork(work)
		_, _ = w.Write(body)
	})
}

// pretendToWork takes so long on average, and up to twice as long.
func pretendToWork(average time.Duration) { time.Sleep(rand.N(2*average + 1)) }

// protocols are those of a server or a client. HTTP/2 is spoken without TLS, with the same frames.
func protocols(traffic string) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(traffic == trafficHTTP1)
	p.SetUnencryptedHTTP2(traffic == trafficHTTP2)
	return p
}
