package integration_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/http3/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
	"github.com/stretchr/testify/require"
)

func TestHTTP3(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for example.com
	defer certified.Close()
	roots := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	newClient := func(keeps bool) func(*trial) client {
		return func(tr *trial) client {
			return newHTTP3Client(tr, &tls.Config{RootCAs: roots}, keeps)
		}
	}

	run(t, framework{"quic-go", func(t *testing.T, i *instance) {
		srv := &http3.Server{Handler: i, TLSConfig: http3.ConfigureTLSConfig(certified.TLS)}
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		i.addr = conn.LocalAddr().String()
		require.NoError(t, i.AddServer("api", srv))
		i.goServe(t, func() error { return srv.Serve(conn) })
	}, []load{
		{2, 1, newClient(true)},
		{1, 4, newClient(true)},
		{1, 1, newClient(false)},
	}})
}

// newHTTP3Client returns a client whose requests can be sent again. The server rejects those that
// cross its GOAWAY, and says that it has not begun them (H3_REQUEST_REJECTED).
func newHTTP3Client(tr *trial, tlsConfig *tls.Config, keeps bool) client {
	var told atomic.Int64
	transport := &http3.Transport{
		TLSClientConfig: tlsConfig,
		QUICConfig: &quic.Config{
			Tracer: func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
				return goAwayTrace{func() { told.Add(1) }}
			},
		},
		Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, tr.addr(), t, q)
		},
	}
	c := client{close: func() { _ = transport.Close() }}
	if keeps {
		c.told = &told
	}
	c.ask = func(ctx context.Context, question string) (string, error) {
		getBody := func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(question)), nil
		}
		_, answer, err := post(ctx, transport, "https://example.com", question, getBody)
		// After GOAWAY, quic-go's client closes a connection without requests. One that is just to
		// begin there fails, and quic-go does not see that nothing of it was sent.
		if errors.Is(err, &http3.Error{ErrorCode: http3.ErrCodeNoError}) {
			_, answer, err = post(ctx, transport, "https://example.com", question, getBody)
		}
		if !keeps {
			transport.CloseIdleConnections()
		}
		return answer, err
	}
	return c
}

// A goAwayTrace looks for GOAWAY in what a server sends; the client does not expose it.
type goAwayTrace struct{ told func() }

func (t goAwayTrace) AddProducer() qlogwriter.Recorder { return t }
func (t goAwayTrace) Close() error                     { return nil }

func (t goAwayTrace) RecordEvent(e qlogwriter.Event) {
	if e, ok := e.(qlog.FrameParsed); ok {
		if _, ok := e.Frame.Frame.(qlog.GoAwayFrame); ok {
			t.told()
		}
	}
}
