package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"github.com/gracekit/gracekit/health"
)

// adminHandler is for operators on this machine: metrics, profiles, and health with the texts of errors.
func (s *service) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.Handle("GET /version", versionHandler())
	for path, kind := range healthEndpoints {
		handler := s.checks.Handler(kind, health.Details(true))
		mux.Handle(path, handler)
		mux.Handle(path+"/{name}", handler)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return localHostOnly(mux)
}

// localHostOnly refuses requests for the name of another host. A page that a developer looks at can point its own name at 127.0.0.1, and
// would read everything here as if it came from its own server (DNS rebinding).
func localHostOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host // without a port
		}
		if !isLoopback(host) {
			http.Error(w, fmt.Sprintf("the host is %.100q, must be localhost or a loopback address", host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback knows one name, localhost; it looks up none.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' { // IPv6 without a port
		host = host[1 : len(host)-1]
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// listenLoopback listens where only this machine can connect: a profile shows what is in memory, and takes a processor to make.
func listenLoopback(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("%s can be reached from elsewhere: must be a loopback address, such as 127.0.0.1:6060", address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() { // localhost is what the system says it is
		return nil, errors.Join(fmt.Errorf("%s is %v here, which can be reached from elsewhere", address, listener.Addr()), listener.Close())
	}
	return listener, nil
}

// An admin server goes on until everything else has stopped.
type admin struct {
	server   *http.Server
	listener net.Listener
	ended    chan struct{} // closed when Serve has returned
	failure  error         // of Serve; to be read after ended
}

func newAdmin(handler http.Handler, listener net.Listener, log *stdlog.Logger) *admin {
	return &admin{
		server:   &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log}, // no WriteTimeout: a profile takes long
		listener: listener,
		ended:    make(chan struct{}),
	}
}

// start serves in a goroutine, which ends with stop. It calls failed if serving ends before that.
func (a *admin) start(failed func(error) bool) {
	go func() {
		defer close(a.ended)
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.failure = fmt.Errorf("admin: %w", err)
			failed(a.failure)
		}
	}()
}

// stop answers what is there, and cuts whoever takes longer than a second, such as a profile: the service does not wait for it.
func (a *admin) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		_ = a.server.Close()
	}
	<-a.ended
	return nil
}

// err returns why serving ended, if it was not stop. It is called after the shutdown, which includes stop.
func (a *admin) err() error {
	<-a.ended
	return a.failure
}
