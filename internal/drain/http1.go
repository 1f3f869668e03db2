package drain

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// A conn is a connection for HTTP/1 that never sends anything twice: net/http's own client hides
// losses by its retries.
type conn struct {
	net.Conn
	tcp *net.TCPConn // below TLS
	br  *bufio.Reader
}

// patience is how long a client waits for an answer that nothing should delay.
const patience = 10 * time.Second

// dial connects to a port of an instance. limit, if not 0, is the size of the receive buffer.
func (p *program) dial(ctx context.Context, addr string, limit int) (*conn, error) {
	d := net.Dialer{Timeout: patience}
	if limit > 0 {
		d.Control = func(_, _ string, raw syscall.RawConn) error { return setReceiveBuffer(raw, limit) }
	}
	tcp, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: tcp, tcp: tcp.(*net.TCPConn)}
	if p.tls {
		secured := tls.Client(tcp, &tls.Config{
			InsecureSkipVerify: true, // nothing secret is sent, and only to this machine
			NextProtos:         []string{"http/1.1"},
		})
		if err := secured.HandshakeContext(ctx); err != nil {
			tcp.Close()
			return nil, err
		}
		c.Conn = secured
	}
	c.br = bufio.NewReader(c.Conn)
	return c, nil
}

// refused tells whether nobody listens any more: what a client tries elsewhere, without any harm.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// An answer is what a client has got for a request.
type answer struct {
	status int
	last   bool // the server has said that this connection is to be left
	body   []byte
}

// fails tells whether a client would take the answer for a failure of the server.
func (a *answer) fails() bool { return a.status >= 500 }

// request returns the bytes of a request.
func (p *program) request(method, path, body string, more ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, path)
	header := http.Header{"Host": {"127.0.0.1"}, "User-Agent": {"draintest"}}
	if body != "" {
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", fmt.Sprint(len(body)))
	}
	for i := 0; i+1 < len(more); i += 2 {
		header.Set(more[i], more[i+1])
	}
	maps.Copy(header, p.Header)
	_ = header.Write(&b) // a buffer takes everything
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// usualRequest is what the load consists of.
func (p *program) usualRequest() []byte { return p.request(p.Method, p.Path, p.Body) }

// do sends a request and reads the answer.
func (c *conn) do(method string, request []byte, within time.Duration) (*answer, error) {
	_ = c.SetDeadline(time.Now().Add(within)) // a connection that is broken fails below
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return c.answer(method, within)
}

func (c *conn) answer(method string, within time.Duration) (*answer, error) {
	_ = c.SetDeadline(time.Now().Add(within))
	resp, err := c.head(method)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Close, body}, err
}

// head reads the head of an answer, but for those that only announce one.
func (c *conn) head(method string) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// get asks for a path on a new connection.
func (p *program) get(ctx context.Context, in *instance, path string) (*answer, error) {
	c, err := p.dial(ctx, in.addr(), 0)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.do(http.MethodGet, p.request(http.MethodGet, path, "", "Connection", "close"), patience)
}

// what says in a word what became of a request that has no answer.
func what(err error) string {
	var status failedStatus
	switch {
	case refused(err):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "closed without an answer"
	case isTimeout(err):
		return "not answered in time"
	case errors.As(err, &status):
		return status.Error()
	case strings.Contains(err.Error(), "GOAWAY"): // package http has no name for it
		return "thrown away after GOAWAY"
	default:
		return "broken"
	}
}
