package health_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/health"
)

func TestLoopback(t *testing.T) {
	tests := []struct{ name, addr, want string }{
		{"no host", ":80", "127.0.0.1:80"},
		{"IPv4 wildcard", "0.0.0.0:80", "127.0.0.1:80"},
		{"IPv6 wildcard", "[::]:80", "127.0.0.1:80"},
		{"IPv6 wildcard written out", "[0:0:0:0:0:0:0:0]:80", "127.0.0.1:80"},
		{"IPv4 wildcard as IPv6", "[::ffff:0.0.0.0]:80", "127.0.0.1:80"},
		{"named port", ":http", "127.0.0.1:80"},
		{"leading zeros", ":0080", "127.0.0.1:80"},
		{"IPv6 loopback", "[::1]:80", "[::1]:80"},
		{"ends like a wildcard", "10.0.0.0:80", "10.0.0.0:80"},
		{"contains a wildcard", "120.0.0.0:80", "120.0.0.0:80"},
		{"name", "localhost:80", "localhost:80"},
		{"name with dots and digits", "db-1.svc_a.example.com.:80", "db-1.svc_a.example.com.:80"},
		{"ends of ranges", "azAZ09.z:80", "azAZ09.z:80"},
		{"name beyond ASCII", "bücher.example:80", "bücher.example:80"},
		{"zone", "[fe80::1%lo]:80", "[fe80::1%lo]:80"},
		{"unix socket", "/run/app.sock", "/run/app.sock"},
		{"unix socket with prefix", "unix:app.sock", "unix:app.sock"},
		{"abstract unix socket", "@app", "@app"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := health.Loopback(tt.addr)
			assert.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestLoopbackRefuses(t *testing.T) {
	tests := []struct{ name, addr, want string }{
		{"nothing", "", "missing port"},
		{"port alone", "80", "missing port"},
		{"name alone", "localhost", "missing port"},
		{"empty port", "localhost:", "the port is missing"},
		{"port 0", ":0", "use Listener"},
		{"port 00", "127.0.0.1:00", "use Listener"},
		{"port too large", ":65536", `port "65536": expected 1 to 65535`},
		{"negative port", ":-1", `port "-1": expected 1 to 65535`},
		{"signed port", ":+80", `port "+80": expected 1 to 65535`},
		{"unknown service", ":no-such-service", `port "no-such-service"`},
		{"IPv6 without brackets", "::1:80", "too many colons"},
		{"IPv4 out of range", "10.0.0.256:80", `host "10.0.0.256": expected`},
		{"IPv4 cut short", "127.1:80", `host "127.1": expected`},
		{"IPv6 rubbish", "[::x]:80", `host "::x": expected`},
		{"empty zone", "[fe80::1%]:80", "expected a name or an IP address"},
		{"URL", "http://0.0.0.0:80/", "not a URL"},
		{"space", "my host:80", `found ' '`},
		{"star", "*:80", `found '*'`},
		{"path after host", "host/path:80", `found '/'`},
		{"user", "me@host:80", `found '@'`},
		{"before the letters", "a`:80", "found '`'"},
		{"after the letters", "a{:80", "found '{'"},
		{"not UTF-8", "a\xff:80", "expected a name"},
		{"no socket", "unix:", "expected a path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := health.Loopback(tt.addr)
			assert.Empty(t, got)
			assert.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, "health: Loopback(")
		})
	}
}

// FuzzLoopback checks that what is accepted can be dialled: never a wildcard, never port 0, and its
// own loopback.
func FuzzLoopback(f *testing.F) {
	for _, seed := range []string{
		":80", "0.0.0.0:80", "[::]:80", "[::1]:80", "10.0.0.0:80", "localhost:80", "[fe80::1%lo]:80",
		"/run/s", "unix:s", "@s",
		":0", ":http", "[::ffff:0.0.0.0]:80", "[::%lo]:80", "1.2.3:80", "http://x:80", "[a]:1", "0:80",
		":080",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		got, err := health.Loopback(addr)
		if err != nil {
			if got != "" {
				t.Errorf("Loopback(%q) = %q beside the error %v", addr, got, err)
			}
			return
		}
		if again, err := health.Loopback(got); err != nil || again != got {
			t.Errorf("Loopback(%q) = %q, but Loopback of that = %q, %v", addr, got, again, err)
		}
		if strings.HasPrefix(got, "/") || strings.HasPrefix(got, "@") || strings.HasPrefix(got, "unix:") {
			return
		}
		host, port, err := net.SplitHostPort(got)
		if err != nil || host == "" || port == "" || port[0] == '0' {
			t.Errorf("Loopback(%q) = %q: expected host and port", addr, got)
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.WithZone("").Unmap().IsUnspecified() {
			t.Errorf("Loopback(%q) = %q: a wildcard", addr, got)
		}
		// A second opinion on whether these are a host and a port, without asking a name server.
		if ip := net.ParseIP(host); ip != nil {
			if tcp, err := net.ResolveTCPAddr("tcp", got); err != nil || tcp.IP.IsUnspecified() {
				t.Errorf("Loopback(%q) = %q resolves to %v, %v", addr, got, tcp, err)
			}
		}
	})
}
