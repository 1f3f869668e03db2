package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// Loopback turns the address that a server listens on into one that a client on the same machine
// can connect to:
//
//	":80", "0.0.0.0:80", "[::]:80"      127.0.0.1:80
//	":http"                             127.0.0.1:80
//	"10.0.0.0:80", "[fe80::1%lo]:80"    unchanged: a host that is not a wildcard
//	"localhost:80"                      unchanged: names are not looked up
//	"/run/app.sock", "unix:/run/a.sock" unchanged
//
// The host is parsed, not searched, and nothing is sent. Port 0 is an error: only the listener
// knows its port, see [Listener]. Anything else that cannot be an address is an error which says
// why.
//
// On all usual machines a wildcard address answers on 127.0.0.1. The probes [HTTP], [TCP] and
// [Listener] do not need Loopback: given a wildcard address, each attempt tries 127.0.0.1 and then
// ::1.
func Loopback(addr string) (string, error) {
	a, err := parseAddress(addr)
	if err != nil {
		return "", fmt.Errorf("health: Loopback(%q): %w", addr, err)
	}
	if a.network == "unix" {
		return addr, nil
	}
	return a.candidates[0], nil
}

// An address is where to connect: the candidates are tried in order.
type address struct {
	network    string // "tcp" or "unix"
	candidates []string
}

func parseAddress(addr string) (address, error) {
	if path, ok := unixPath(addr); ok {
		if path == "" {
			return address{}, errors.New(`expected a path after "unix:"`)
		}
		return address{network: "unix", candidates: []string{path}}, nil
	}
	return parseTCPAddress(addr)
}

func parseTCPAddress(addr string) (address, error) {
	if strings.Contains(addr, "://") {
		return address{}, errors.New("expected host:port, not a URL")
	}
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		// Its text repeats the address, which every caller names already.
		if e, ok := errors.AsType[*net.AddrError](err); ok {
			err = errors.New(e.Err)
		}
		return address{}, fmt.Errorf("expected host:port: %w", err)
	}
	port, err := parsePort(service)
	if err != nil {
		return address{}, err
	}
	wildcard, err := parseHost(host)
	if err != nil {
		return address{}, err
	}
	if wildcard {
		return address{network: "tcp", candidates: []string{"127.0.0.1:" + port, "[::1]:" + port}}, nil
	}
	return address{network: "tcp", candidates: []string{net.JoinHostPort(host, port)}}, nil
}

// unixPath recognises the forms in which Go programs write unix sockets; "@" is Linux' abstract
// name space (unix(7)).
func unixPath(addr string) (path string, ok bool) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return path, true
	}
	return addr, strings.HasPrefix(addr, "/") || strings.HasPrefix(addr, "@")
}

func parsePort(service string) (string, error) {
	if service == "" {
		return "", errors.New("the port is missing")
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		// A name such as "http"; net.LookupPort would also accept "+80" and "-1".
		if !consistsOf(service[:1], "") || service[0] <= '9' {
			return "", fmt.Errorf("port %q: expected 1 to 65535", service)
		}
		named, err := net.LookupPort("tcp", service)
		if err != nil {
			return "", fmt.Errorf("port %q: expected 1 to 65535 or the name of a service", service)
		}
		port = uint64(named)
	}
	if port == 0 {
		return "", errors.New("port 0 stands for a port that the kernel chooses: " +
			"use Listener, or the listener's Addr")
	}
	return strconv.FormatUint(port, 10), nil
}

// parseHost checks the host of an address and reports whether it means all interfaces.
func parseHost(host string) (wildcard bool, err error) {
	if host == "" {
		return true, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.WithZone("").Unmap().IsUnspecified(), nil
	}
	if strings.Contains(host, ":") {
		return false, fmt.Errorf("host %q: expected a name or an IP address", host)
	}
	for _, r := range host {
		// Names of containers often have underscores; names beyond ASCII are up to the resolver.
		if r < 0x80 && !consistsOf(string(r), "-._") || r == '\uFFFD' {
			return false, fmt.Errorf("host %q: expected a name or an IP address, found %q", host, r)
		}
	}
	// No top-level domain is a number (RFC 3696, 2), so this is an IPv4 address gone wrong.
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	if _, err := strconv.Atoi(labels[len(labels)-1]); err == nil {
		return false, fmt.Errorf("host %q: expected a name or an IP address", host)
	}
	return false, nil
}

// dial connects to the first candidate that answers.
func (a address) dial(ctx context.Context) (net.Conn, error) {
	var failures []error
	for i, candidate := range a.candidates {
		conn, err := a.dialOne(ctx, candidate, len(a.candidates)-i)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
		if guard.Ended(ctx) {
			break
		}
	}
	if len(failures) == 2 {
		return nil, fmt.Errorf("%w; %w", failures[0], failures[1]) // on one line, unlike errors.Join
	}
	return nil, failures[0]
}

// dialOne leaves the candidates after it their share of the time: Windows takes two seconds to find
// a local port closed.
func (a address) dialOne(ctx context.Context, candidate string, remaining int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && remaining > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(remaining))
		defer cancel()
	}
	var d net.Dialer
	return d.DialContext(ctx, a.network, candidate)
}
