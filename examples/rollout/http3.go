package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/gracekit/gracekit/shutdown"
)

func newHTTP3Server(
	cfg replicaConfig, conn net.PacketConn, draining <-chan struct{},
) (server, error) {
	cert, err := selfSigned()
	if err != nil {
		return server{}, fmt.Errorf("making a certificate: %w", err)
	}
	srv := &http3.Server{
		Handler: handler(cfg.Work, draining),
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13,
		}),
	}
	serve := func() error { return srv.Serve(conn) }
	return server{
		serve: serve,
		stop:  srv.Shutdown,
		addTo: func(gs *shutdown.GracefulShutdown) error {
			if err := gs.AddServer("http3", srv); err != nil {
				return err
			}
			return gs.Go("http3 on "+cfg.Address, func(context.Context) error { return serve() })
		},
	}, nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// newHTTP3Client has one connection, which goes to the replica that the balancer chooses, and stays
// there until the replica tells it to leave.
func newHTTP3Client(traffic string, b *ownBalancer) client {
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // each replica has made its own
		QUICConfig: &quic.Config{ // UDP does not tell that a process is gone
			HandshakeIdleTimeout: 3 * time.Second,
			MaxIdleTimeout:       3 * time.Second,
			KeepAlivePeriod:      time.Second,
		},
		Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			endpoint, err := b.choose()
			if err != nil {
				return nil, err
			}
			return quic.DialAddrEarly(ctx, endpoint, t, q)
		},
	}
	call := func(ctx context.Context, payload []byte) error {
		req, err := newRequest(ctx, "https://service/", payload)
		if err != nil {
			return err
		}
		if traffic == trafficHTTP3Again {
			req.GetBody = func() (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(payload)), nil
			}
		}
		return roundTrip(transport, req, payload)
	}
	return client{call, func() { _ = transport.Close() }}
}
