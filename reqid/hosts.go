package reqid

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Hosts adds hosts that [Transport] sends the ID to:
//
//	"api.internal"         this host, on any port
//	"api.internal:8443"    on this port, which may be the scheme's default port
//	"*.example.com"        every host below example.com, at any depth, not example.com itself
//	"10.1.2.3", "[::1]:80" an address, as it stands in the URL; names are not resolved
//
// Case and one trailing dot do not matter. Names are in ASCII (xn--… for others); a URL whose host
// is not is never allowed. What counts is the host of the URL, to which the connection goes, not
// the Host header.
//
// It panics if a pattern is none of these.
func Hosts(patterns ...string) TransportOption {
	hosts := make([]hostPattern, 0, len(patterns))
	for _, p := range patterns {
		h, problem := parseHost(p)
		if problem != "" {
			panic(fmt.Sprintf("reqid: Hosts(%q): %s: must be a host, host:port or *.domain", p,
				problem))
		}
		hosts = append(hosts, h)
	}
	return hostsOption(hosts)
}

type hostsOption []hostPattern

func (o hostsOption) applyTransport(t *transport) { t.hosts = append(t.hosts, o...) }

// A hostPattern has either an address or a name.
type hostPattern struct {
	addr  netip.Addr
	name  string // lower case
	below bool   // the names below name instead of name
	port  string // "" is any
}

func parseHost(s string) (h hostPattern, problem string) {
	host := s
	// An IPv6 address without brackets is full of colons, but has no port.
	if _, err := netip.ParseAddr(s); err != nil {
		if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
			host, h.port = s[:i], s[i+1:]
			n, err := strconv.ParseUint(h.port, 10, 16)
			if err != nil || n == 0 || h.port != strconv.FormatUint(n, 10) {
				return h, "the port is not a number from 1 to 65535"
			}
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !strings.HasSuffix(inner, "]") || addr.Is4() {
			return h, "the brackets hold no IPv6 address"
		}
		h.addr = addr
		return h, ""
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		h.addr = addr
		return h, ""
	}
	host, h.below = strings.CutPrefix(host, "*.")
	name, ok := hostName(host)
	if !ok {
		return h, "the host is not a name in ASCII"
	}
	h.name = name
	return h, ""
}

func allows(patterns []hostPattern, u *url.URL) bool {
	host, port := u.Hostname(), u.Port()
	if port == "" {
		switch u.Scheme {
		case "http":
			port = "80"
		case "https":
			port = "443"
		}
	}
	addr, err := netip.ParseAddr(host)
	isAddr := err == nil
	name, isName := hostName(host)
	for _, p := range patterns {
		switch {
		case p.port != "" && p.port != port:
		case isAddr:
			if p.addr == addr {
				return true
			}
		case !isName:
		case p.below:
			if strings.HasSuffix(name, "."+p.name) {
				return true
			}
		case name == p.name:
			return true
		}
	}
	return false
}

// hostName returns s in lower case and without the dot of the root. ok is false if s cannot be a
// host name: what is not plainly a name must not match a pattern.
func hostName(s string) (name string, ok bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 { // RFC 1035, 2.3.4
		return "", false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" {
			return "", false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-',
				c == '_':
			default:
				return "", false
			}
		}
	}
	return strings.ToLower(s), true
}
