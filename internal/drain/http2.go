package drain

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

// A client2 speaks HTTP/2 to one instance, on connections that are shared by all its users, as
// balancers do.
type client2 struct {
	transport *http.Transport
	base      string
	header    http.Header
}

// newClient2 returns a client whose connections are late by late in both directions. Between two
// machines a GOAWAY takes its time, too, and what the client sends meanwhile is what may be lost.
func (p *program) newClient2(in *instance, late time.Duration) *client2 {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(p.tls)
	protocols.SetUnencryptedHTTP2(!p.tls)
	scheme := "http"
	if p.tls {
		scheme = "https"
	}
	return &client2{
		transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", in.addr())
				if err != nil || late == 0 {
					return c, err
				}
				return newLateConn(c, late), nil
			},
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			Protocols:       protocols,
		},
		base:   scheme + "://" + in.addr(),
		header: p.Header,
	}
}

func (c *client2) close() { c.transport.CloseIdleConnections() }

// do makes a request whose body cannot be sent a second time.
func (c *client2) do(
	ctx context.Context, method, path, contentType string, body io.Reader,
) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.send(ctx, method, path, contentType, body)
}

func (c *client2) send(
	ctx context.Context, method, path, contentType string, body io.Reader,
) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(req.Header, c.header)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if contentType == grpcType {
		req.Header.Set("TE", "trailers")
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	return resp, read, err
}

// once hides from net/http that a body could be had a second time.
func once(body string) io.Reader {
	if body == "" {
		return nil
	}
	return struct{ io.Reader }{bytes.NewReader([]byte(body))}
}

// gRPC's health check is a unary call that most servers answer, and the others refuse by a status.
const (
	grpcType   = "application/grpc"
	grpcHealth = "/grpc.health.v1.Health/Check"
	grpcEmpty  = "\x00\x00\x00\x00\x00" // not compressed, no bytes: an empty message
)

const (
	grpcUnavailable = "14"
	grpcServing     = "\x08\x01" // the field status of a HealthCheckResponse is SERVING
)

// check makes a health check. err is nil if the server has answered, status what it has said.
func (c *client2) check(
	ctx context.Context, body io.Reader,
) (status string, serving bool, err error) {
	resp, message, err := c.send(ctx, http.MethodPost, grpcHealth, grpcType, body)
	if err != nil {
		return "", false, err
	}
	status = resp.Trailer.Get("Grpc-Status")
	if status == "" {
		status = resp.Header.Get("Grpc-Status")
	}
	if status == "" {
		return "", false, fmt.Errorf("the answer, %s, is not gRPC's", resp.Status)
	}
	if status == grpcUnavailable {
		return status, false, errors.New("UNAVAILABLE")
	}
	return status, len(message) > 5 && string(message[5:]) == grpcServing, nil
}

// A lateConn delivers what it is given a while later, in both directions. Its goroutines end with
// Close.
type lateConn struct {
	net.Conn
	late     time.Duration
	out, in  chan delivery
	got      delivery // what Read has not yet returned
	closed   chan struct{}
	closeAll func() error
}

type delivery struct {
	data []byte
	err  error
	due  time.Time
}

func newLateConn(c net.Conn, late time.Duration) *lateConn {
	const packets = 1024 // more than are on their way at a time
	l := &lateConn{
		Conn: c, late: late,
		out: make(chan delivery, packets), in: make(chan delivery, packets),
		closed: make(chan struct{}),
	}
	l.closeAll = sync.OnceValue(func() error {
		close(l.closed)
		return c.Close()
	})
	go l.sendAll()
	go l.receiveAll()
	return l
}

func (l *lateConn) Write(b []byte) (int, error) {
	select {
	case <-l.closed:
		return 0, net.ErrClosed
	default:
	}
	select {
	case l.out <- delivery{data: bytes.Clone(b), due: time.Now().Add(l.late)}:
		return len(b), nil
	case <-l.closed:
		return 0, net.ErrClosed
	}
}

func (l *lateConn) sendAll() {
	for {
		select {
		case d := <-l.out:
			time.Sleep(time.Until(d.due))
			if _, err := l.Conn.Write(d.data); err != nil {
				return // Read says so
			}
		case <-l.closed:
			return
		}
	}
}

func (l *lateConn) receiveAll() {
	for {
		buf := make([]byte, 16<<10)
		n, err := l.Conn.Read(buf)
		select {
		case l.in <- delivery{buf[:n], err, time.Now().Add(l.late)}:
		case <-l.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *lateConn) Read(b []byte) (int, error) {
	for len(l.got.data) == 0 {
		if l.got.err != nil {
			return 0, l.got.err
		}
		select {
		case l.got = <-l.in:
			time.Sleep(time.Until(l.got.due))
		case <-l.closed:
			return 0, net.ErrClosed
		}
	}
	n := copy(b, l.got.data)
	l.got.data = l.got.data[n:]
	return n, nil
}

// Close drops what is still on its way.
func (l *lateConn) Close() error { return l.closeAll() }
