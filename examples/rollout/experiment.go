package main

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// An experiment is what the ways of stopping are compared in.
type experiment struct {
	Via     string `json:"via"`
	Mode    string `json:"mode"`
	Traffic string `json:"traffic"`
	Load    string `json:"load"`
}

// What stands before the replicas.
const (
	viaOwn         = "own"          // learns late, as kube-proxy does
	viaUnaware     = "unaware"      // never learns; tries the next replica if one refuses
	viaHAProxy     = "haproxy"      // checks the health of replicas
	viaNginx       = "nginx"        // never learns; tries the next replica if one fails
	viaNginxReload = "nginx-reload" // its configuration is changed before a replica is stopped
	viaCaddy       = "caddy"        // checks the health of replicas
)

// How a replica is replaced.
const (
	modeSurge    = "surge"    // the new one, on another port, is up before the old one is stopped
	modeSamePort = "sameport" // the new one takes the port as soon as the old one has closed it
)

// What the clients send.
const (
	trafficHTTP1       = "http1"        // kept-alive connections
	trafficHTTP1New    = "http1-new"    // a new connection for each request
	trafficHTTP10      = "http1.0"      // the same, by HTTP/1.0
	trafficHTTP2       = "http2"        // a connection for each client, which stays until it is told
	trafficHTTP2Shared = "http2-shared" // a connection to each replica for all, as proxies have it
	trafficHTTP3       = "http3"        // a connection for each client, which stays until it is told
	trafficHTTP3Again  = "http3-again"  // the same; what the server refuses is sent again
	trafficUnary       = "grpc-unary"
	trafficStream      = "grpc-stream"
)

// When the clients send.
const (
	loadClosed = "closed" // each sends its next request when the last one is answered
	loadOpen   = "open"   // at a fixed rate, whatever the answers take
)

// How a replica is stopped.
const (
	stopKill     = "kill"
	stopShutdown = "shutdown"
	stopSleep    = "sleep"
	stopFx       = "fx"
	stopGracekit = "gracekit"
)

func allVia() []string {
	return []string{viaOwn, viaUnaware, viaHAProxy, viaNginx, viaNginxReload, viaCaddy}
}
func allModes() []string { return []string{modeSurge, modeSamePort} }
func allLoads() []string { return []string{loadClosed, loadOpen} }
func allStops() []string {
	return []string{stopKill, stopShutdown, stopSleep, stopFx, stopGracekit}
}

func allTraffic() []string {
	return []string{
		trafficHTTP1, trafficHTTP1New, trafficHTTP10, trafficHTTP2, trafficHTTP2Shared,
		trafficHTTP3, trafficHTTP3Again, trafficUnary, trafficStream,
	}
}

func isHTTP3(traffic string) bool {
	return traffic == trafficHTTP3 || traffic == trafficHTTP3Again
}

// String leaves out what is usual.
func (e experiment) String() string {
	parts := []string{e.Via, e.Traffic}
	if e.Mode != modeSurge {
		parts = append(parts, e.Mode)
	}
	if e.Load != loadClosed {
		parts = append(parts, e.Load)
	}
	return strings.Join(parts, " ")
}

// experiments returns all that cfg asks for, without those that cannot be made here.
func (c config) experiments(progress io.Writer) ([]experiment, error) {
	skip := func(what string, err error) { fmt.Fprintf(progress, "%s: skipped: %v\n", what, err) }
	var all []experiment
	var excuses []error
	for _, via := range c.via {
		if err := installed(via); err != nil {
			if c.require {
				return nil, fmt.Errorf("-require: %w", err)
			}
			skip(via, err)
			continue
		}
		for e := range c.cross(via) {
			if err := e.possible(); err != nil {
				skip(e.String(), err)
				excuses = append(excuses, err)
				continue
			}
			all = append(all, e)
		}
	}
	if len(all) == 0 && len(excuses) > 0 {
		return nil, usageError{fmt.Errorf("nothing to do: %w", excuses[0])}
	}
	return all, nil
}

// cross yields each combination of traffic, mode and load.
func (c config) cross(via string) func(yield func(experiment) bool) {
	return func(yield func(experiment) bool) {
		for _, traffic := range c.traffic {
			for _, mode := range c.mode {
				for _, load := range c.load {
					if !yield(experiment{via, mode, traffic, load}) {
						return
					}
				}
			}
		}
	}
}

// isProgram reports whether a balancer is a program of its own.
func isProgram(via string) bool { return via != viaOwn && via != viaUnaware }

// executable is the name of a balancer's program.
func executable(via string) string { return strings.TrimSuffix(via, "-reload") }

func installed(via string) error {
	if !isProgram(via) {
		return nil
	}
	if _, err := exec.LookPath(executable(via)); err != nil {
		return fmt.Errorf("%s is not installed: %w", executable(via), err)
	}
	return nil
}

// possible returns why e is none.
func (e experiment) possible() error {
	http1 := slices.Contains([]string{trafficHTTP1, trafficHTTP1New, trafficHTTP10}, e.Traffic)
	switch {
	case e.Via == viaOwn:
		return nil
	case e.Via == viaUnaware:
		if isHTTP3(e.Traffic) || e.Traffic == trafficHTTP2Shared {
			return errors.New("the unaware balancer can only retry TCP connections")
		}
		return nil
	case executable(e.Via) == viaNginx && !http1:
		return errors.New("nginx speaks nothing but HTTP/1 to the replicas")
	case e.Traffic == trafficHTTP2Shared:
		return fmt.Errorf("%s shares connections anyway; use http2", e.Via)
	case !http1 && e.Traffic != trafficHTTP2:
		return fmt.Errorf("%s goes by -via own only", e.Traffic)
	}
	return nil
}
