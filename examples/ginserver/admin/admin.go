// Package admin is what operators of a service ask it on an address that only this machine reaches:
// its metrics, its health with the texts of errors, profiles, and its version.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/shutdown"
)

// Serve adds a server of all of it to gs. It stops last of all, so that metrics and profiles of the
// stop can be fetched until the end. What gs refuses comes out of its Run.
func Serve(
	gs *shutdown.GracefulShutdown, listener net.Listener, checks *health.Registry,
	metrics http.Handler, errorLog *log.Logger,
) {
	srv := &http.Server{ // no WriteTimeout: a profile takes long
		Handler:           newHandler(gs.Context(), checks, metrics),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          errorLog,
	}
	gs.GoHTTP("admin", srv, listener,
		shutdown.InPhase(shutdown.PhaseFlush), shutdown.DrainTimeout(5*time.Second))
}

// newHandler returns what is served. A profile that somebody takes ends with stop: the service does
// not wait for it.
func newHandler(stop context.Context, checks *health.Registry, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /version", Version())
	for path, kind := range endpoints {
		handler := checks.Handler(kind, health.Details())
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

// localHostOnly refuses requests for the name of another host. A page that a developer looks at can
// point its own name at 127.0.0.1, and would read everything here as if it came from its own server
// (DNS rebinding).
func localHostOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host // without a port
		}
		if !IsLoopback(host) {
			http.Error(w, fmt.Sprintf("the host is %.100q, must be localhost or a loopback address", host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsLoopback reports whether the host is this machine. It knows one name, localhost; it looks up
// none.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' { // IPv6 without a port
		host = host[1 : len(host)-1]
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Listen listens where only this machine can connect: a profile shows what is in memory, and takes
// a processor to make.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !IsLoopback(host) {
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

// endpoints are the paths and what each shows. /healthz is what older balancers ask for: whether
// the process answers.
var endpoints = map[string]health.Kind{
	"/healthz": health.Live, "/livez": health.Live, "/readyz": health.Ready, "/startupz": health.Startup,
}

// MountHealth serves them, without the texts of errors, to everybody; and each check below them:
// /readyz/database.
func MountHealth(r gin.IRouter, checks *health.Registry) {
	for path, kind := range endpoints {
		handler := gin.WrapH(checks.Handler(kind))
		methods := []string{http.MethodGet, http.MethodHead}
		r.Match(methods, path, handler)
		r.Match(methods, path+"/:name", handler)
	}
}
