package reqid_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/reqid"
)

func TestNonsenseIsRefusedWhereItIsWritten(t *testing.T) {
	tests := []struct {
		name string
		call func()
		want string
	}{
		{"no header", func() { reqid.Header("") }, `reqid: Header(""): must be a header name`},
		{"header with a space", func() { reqid.Header("X Request") },
			`reqid: Header("X Request"): must be`},
		{"header with a line feed", func() { reqid.Header("X\n") },
			`reqid: Header("X\n"): must be`},
		{"header outside ASCII", func() { reqid.Header("X-É") }, `must be`},
		{"header with a meaning", func() { reqid.Header("content-length") },
			`reqid: Header("content-length"): must be`},
		{"header of the trace", func() { reqid.Header("traceparent") }, `must be`},
		{"header of the root", func() { reqid.Header("x-root-request-id") }, `must be`},
		{"MaxLen 0", func() { reqid.MaxLen(0) }, "reqid: MaxLen(0): must be between 1 and 128"},
		{"MaxLen 129", func() { reqid.MaxLen(129) },
			"reqid: MaxLen(129): must be between 1 and 128"},
		{"Trust", func() { reqid.Trust(nil) }, "reqid: Trust(nil): must be a function"},
		{"Generator", func() { reqid.Generator(nil) }, "reqid: Generator(nil): must be a function"},
		{"Logger", func() { reqid.Logger(nil) }, "reqid: Logger(nil): must be a logger"},
		{"handler", func() { reqid.Middleware()(nil) }, "reqid: Middleware: the handler is nil"},
		{"Span", func() { reqid.Span(nil) }, "reqid: Span(nil): must be a function"},
		{"header of the baggage", func() { reqid.Header("Baggage") }, `must be`},
		{"two keys alike", func() {
			reqid.LogHandler(slog.DiscardHandler, reqid.Rename(reqid.ParentKey, "id"),
				reqid.Rename(reqid.RequestIDKey, "id"))
		}, `reqid: LogHandler: two attributes have the key "id": must differ`},
		{"254 bytes of host", func() { reqid.Hosts(strings.Repeat("a.", 126) + "aa") },
			"the host is not a name"},
		{"log handler", func() { reqid.LogHandler(nil) },
			"reqid: LogHandler(nil): must be a handler"},
		{"Rename", func() { reqid.Rename("id", "x") }, `reqid: Rename("id", "x"): must be one of`},
		{"no host", func() { reqid.Hosts("a", "") },
			`reqid: Hosts(""): the host is not a name in ASCII: must be a host, host:port or *.domain`},
		{"URL", func() { reqid.Hosts("http://api.internal") },
			"reqid: Hosts(\"http://api.internal\"): the port"},
		{"path", func() { reqid.Hosts("api.internal/v1") }, "the host is not a name"},
		{"user", func() { reqid.Hosts("me@api.internal") }, "the host is not a name"},
		{"host outside ASCII", func() { reqid.Hosts("bücher.example") },
			"the host is not a name in ASCII"},
		{"every host", func() { reqid.Hosts("*") }, "the host is not a name"},
		{"every host below the root", func() { reqid.Hosts("*.") }, "the host is not a name"},
		{"star within", func() { reqid.Hosts("a.*.example") }, "the host is not a name"},
		{"two dots", func() { reqid.Hosts("a..b") }, "the host is not a name"},
		{"port 0", func() { reqid.Hosts("a:0") }, "the port is not a number"},
		{"port 65536", func() { reqid.Hosts("a:65536") }, "the port is not a number"},
		{"port 080", func() { reqid.Hosts("a:080") }, "the port is not a number"},
		{"no port", func() { reqid.Hosts("a:") }, "the port is not a number"},
		{"IPv4 in brackets", func() { reqid.Hosts("[127.0.0.1]") },
			"the brackets hold no IPv6 address"},
		{"one bracket", func() { reqid.Hosts("[::1") }, "must be a host"},
		{"name in brackets", func() { reqid.Hosts("[a]:80") }, "the brackets hold no IPv6 address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() { assert.Contains(t, recover(), tt.want) }()
			tt.call()
		})
	}
}

func TestTheLimitsOfNames(t *testing.T) {
	assert.NotPanics(t, func() { reqid.Hosts(strings.Repeat("a.", 127)) },
		"253 bytes and the dot of the root")
	assert.NotPanics(t, func() { reqid.Header("!#$%&'*+-.^_`|~09azAZ") })
}
