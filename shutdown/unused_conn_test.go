package shutdown_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// net/http waits 5s for a connection that has never been used and then drops what it sends. A
// browser's preconnect, a balancer's spare and a TCP check cost a stop no more than Linger, and
// nothing is said to have been cut.
func TestUnusedConnectionsCostNothing(t *testing.T) {
	certificate, client := testCertificate(t)
	withTLS := func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{certificate}} }
	tests := []struct {
		name string
		tls  *tls.Config
		open func(t *testing.T, l *listener)
	}{
		{"plain", nil, func(t *testing.T, l *listener) { l.dial(t) }},
		{"TLS, in the middle of its handshake", withTLS(), func(t *testing.T, l *listener) { l.dial(t) }},
		{"TLS, after half a ClientHello", withTLS(), func(t *testing.T, l *listener) {
			_, err := l.dial(t).Write([]byte{0x16, 0x03, 0x01, 0x02, 0x00})
			require.NoError(t, err)
		}},
		{"TLS, after its handshake", withTLS(), func(t *testing.T, l *listener) {
			raw, err := l.dialContext(t.Context(), "", "")
			require.NoError(t, err)
			c := tls.Client(raw, client.Clone())
			require.NoError(t, c.HandshakeContext(t.Context()))
			newConn(t, raw)
			go func() { _, _ = c.Read(make([]byte, 1)) }() // what comes at its end
		}},
		{"many", nil, func(t *testing.T, l *listener) {
			for range 100 {
				l.dial(t)
			}
		}},
		{"half a request line", nil, func(t *testing.T, l *listener) {
			_, err := fmt.Fprint(l.dial(t), "GE")
			require.NoError(t, err)
		}},
	}
	adds := map[string]func(gs service, srv *http.Server) *listener{
		"GoHTTP": func(gs service, srv *http.Server) *listener { return gs.goHTTP("api", srv) },
		"AddHTTPServer": func(gs service, srv *http.Server) *listener {
			require.NoError(gs.t, gs.AddHTTPServer("api", srv))
			l := newListener()
			gs.component("http", func(context.Context) error {
				if srv.TLSConfig != nil {
					return srv.ServeTLS(l, "", "")
				}
				return srv.Serve(l)
			})
			return l
		},
	}
	for _, tt := range tests {
		for how, add := range adds {
			bubble(t, tt.name+", "+how, func(t *testing.T) {
				gs := newService(t, shutdown.Grace(3*sec), shutdown.Linger(500*ms))
				l := add(gs, &http.Server{
					Handler: answers("ok"), TLSConfig: tt.tls,
					ErrorLog: log.New(io.Discard, "", 0),
				})
				gs.start()
				tt.open(t, l)
				synctest.Wait()
				took, err := gs.timedStop()
				if tt.name == "half a request line" {
					return // a request in flight may be waited for and cut
				}
				assert.NoError(t, err)
				assert.LessOrEqual(t, took, 500*ms+notice, "%s", gs.Report())
			})
		}
	}
}

// A connection that was opened just before the trigger may still make its first request.
func TestUnusedConnectionMayMakeItsFirstRequestDuringLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Linger(sec))
		l := gs.goHTTP("api", &http.Server{Handler: answers("ok")})
		gs.start()
		c := l.dial(t)
		synctest.Wait()
		gs.Shutdown(nil)
		time.Sleep(900 * ms)
		assert.True(t, c.get("/"))
		require.NoError(t, gs.Wait())
	})
}
