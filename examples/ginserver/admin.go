package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"

	"github.com/gracekit/gracekit/health"
)

// adminHandler is for operators on this machine: metrics, profiles, and health with the texts of
// errors. A profile that somebody takes ends with stop: the service does not wait for it.
func (s *service) adminHandler(stop context.Context) http.Handler {
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
	mux.HandleFunc("GET /debug/pprof/profile", until(stop, pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", until(stop, pprof.Trace))
	return localHostOnly(mux)
}

// until ends the context of a request with that of stop, too. A profile is then sent as far as it
// has come.
func until(stop context.Context, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(stop, cancel)()
		next(w, r.WithContext(ctx))
	}
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
