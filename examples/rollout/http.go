package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/gracekit/gracekit/shutdown"
)

func newHTTPServer(cfg replicaConfig, l net.Listener, draining <-chan struct{}) server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler:           handler(cfg.Work, draining),
		ReadHeaderTimeout: 30 * time.Second,
		Protocols:         protocols,
	}
	return server{
		serve: func() error { return srv.Serve(l) },
		stop:  srv.Shutdown,
		addTo: func(gs *shutdown.GracefulShutdown) error { return gs.GoHTTP("http", srv, l) },
	}
}

// handler answers requests with what they have sent, and health checks.
func handler(work time.Duration, draining <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-draining:
			http.Error(w, "stopping", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ready")
		}
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		pretendToWork(work)
		_, _ = w.Write(body)
	})
	return mux
}

// pretendToWork takes so long on average, and up to twice as long.
func pretendToWork(average time.Duration) { time.Sleep(rand.N(2*average + 1)) }

// newHTTPClient speaks HTTP/1.1 or HTTP/2. The latter is without TLS, with the same frames.
func newHTTPClient(traffic string, b balancer) client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return b.dial(ctx)
		},
		MaxIdleConnsPerHost: 1000,
		DisableKeepAlives:   traffic == trafficHTTP1New,
		Protocols:           new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(traffic != trafficHTTP2)
	transport.Protocols.SetUnencryptedHTTP2(traffic == trafficHTTP2)
	call := func(ctx context.Context, payload []byte) error {
		return post(ctx, transport, "http://service/", payload)
	}
	return client{call, transport.CloseIdleConnections}
}

// newSharedHTTP2Client behaves as a proxy: it has one connection to each replica for all requests,
// and sends them only to replicas that the balancer believes in.
func newSharedHTTP2Client(b *ownBalancer) client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	call := func(ctx context.Context, payload []byte) error {
		endpoint, err := b.choose()
		if err != nil {
			return err
		}
		return post(ctx, transport, "http://"+endpoint+"/", payload)
	}
	return client{call, transport.CloseIdleConnections}
}

// post sends a request that may not be sent twice.
func post(ctx context.Context, via http.RoundTripper, url string, payload []byte) error {
	req, err := newRequest(ctx, url, payload)
	if err != nil {
		return err
	}
	return roundTrip(via, req, payload)
}

// newRequest returns one that may not be sent twice: POST is not idempotent, and a body that is a
// mere io.Reader leaves net/http without a GetBody to make another one with.
func newRequest(ctx context.Context, url string, payload []byte) (*http.Request, error) {
	body := struct{ io.Reader }{bytes.NewReader(payload)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(payload))
	return req, nil
}

func roundTrip(via http.RoundTripper, req *http.Request, payload []byte) error {
	resp, err := via.RoundTrip(req)
	if err != nil {
		return err
	}
	return checkResponse(resp, payload)
}

func checkResponse(resp *http.Response, payload []byte) error {
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return checkAnswer(answer, payload)
}

// newHTTP10Client makes a connection for each request. net/http has no client for HTTP/1.0.
func newHTTP10Client(b balancer) client {
	call := func(ctx context.Context, payload []byte) error {
		conn, err := b.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s",
			len(payload), payload)
		if err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		return checkResponse(resp, payload)
	}
	return client{call, func() {}}
}
