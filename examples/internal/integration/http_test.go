package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c" //lint:ignore SA1019 services that exist use it

	"github.com/gracekit/gracekit/shutdown"
)

func TestHTTP(t *testing.T) {
	run(t,
		framework{"net/http", func(t *testing.T, i *instance) {
			goHTTP(t, i, &http.Server{Handler: i})
		}, http1},
		framework{"net/http, AddHTTPServer", func(t *testing.T, i *instance) {
			srv, l := &http.Server{Handler: i}, i.listen(t)
			require.NoError(t, i.AddHTTPServer("api", srv))
			i.goServe(t, func() error { return srv.Serve(l) })
		}, http1},
		framework{"gin", func(t *testing.T, i *instance) {
			gin.SetMode(gin.ReleaseMode)
			engine := gin.New()
			engine.POST("/", func(c *gin.Context) {
				question, _ := io.ReadAll(c.Request.Body)
				c.String(http.StatusOK, i.answer(string(question)))
			})
			goHTTP(t, i, &http.Server{Handler: engine})
		}, http1},
		framework{"chi", func(t *testing.T, i *instance) {
			r := chi.NewRouter()
			r.Post("/", i.ServeHTTP)
			goHTTP(t, i, &http.Server{Handler: r})
		}, http1},
		framework{"echo", func(t *testing.T, i *instance) {
			goHTTP(t, i, &http.Server{Handler: newEcho(i)})
		}, http1},
		framework{"echo, AddHTTPServer and Start", func(t *testing.T, i *instance) {
			e := newEcho(i)
			e.Listener = i.listen(t)
			require.NoError(t, i.AddHTTPServer("api", e.Server))
			i.goServe(t, func() error { return e.Start("") })
		}, http1},
		framework{"echo, AddServer and Start", func(t *testing.T, i *instance) {
			e := newEcho(i)
			e.Listener = i.listen(t)
			e.Use(echo.WrapMiddleware(i.DrainHandler))
			require.NoError(t, i.AddServer("api", e))
			i.goServe(t, func() error { return e.Start("") })
		}, http1},
		framework{"net/http's h2c", func(t *testing.T, i *instance) {
			goHTTP(t, i, &http.Server{Handler: i, Protocols: h2cOnly()})
		}, http2c},
		framework{"h2c.NewHandler", func(t *testing.T, i *instance) {
			//lint:ignore SA1019 services that exist use it
			handler := h2c.NewHandler(i.DrainHandler(i), &http2.Server{})
			goHTTP(t, i, &http.Server{Handler: handler})
		}, http2c},
	)
}

func newEcho(i *instance) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.POST("/", func(c echo.Context) error {
		question, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		return c.String(http.StatusOK, i.answer(string(question)))
	})
	return e
}

func goHTTP(t *testing.T, i *instance, srv *http.Server) {
	t.Helper()
	require.NoError(t, i.GoHTTP("api", srv, i.listen(t)))
}

// ServeHTTP answers with a plain net/http handler.
func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	question, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, i.answer(string(question)))
}

func h2cOnly() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// The loads of HTTP: connections that are kept, one that is shared as a proxy does it, and one for
// each request.
var (
	http1 = []load{
		{3, 1, func(tr *trial) client { return newHTTP1Client(tr, true) }},
		{2, 1, func(tr *trial) client { return newHTTP1Client(tr, false) }},
	}
	http2c = []load{
		{2, 1, func(tr *trial) client { return newHTTP2Client(tr, true) }},
		{1, 8, func(tr *trial) client { return newHTTP2Client(tr, true) }},
		{2, 1, func(tr *trial) client { return newHTTP2Client(tr, false) }},
	}
)

func newHTTP1Client(tr *trial, keeps bool) client {
	transport := &http.Transport{DialContext: tr.dial, DisableKeepAlives: !keeps}
	var told atomic.Int64
	c := client{close: transport.CloseIdleConnections}
	if keeps {
		c.told = &told
	}
	c.ask = func(ctx context.Context, question string) (string, error) {
		draining := tr.old.isDraining()
		resp, answer, err := post(ctx, transport, "http://example.com", question, nil)
		switch {
		case err != nil:
			return "", err
		case keeps && resp.Close:
			told.Add(1)
		case keeps && draining && strings.HasPrefix(answer, "old"):
			return "", errors.New("the response does not say that the client is to leave")
		}
		return answer, nil
	}
	return c
}

func newHTTP2Client(tr *trial, keeps bool) client {
	transport, told := newHTTP2Transport(tr)
	transport.DisableKeepAlives = !keeps
	c := client{close: transport.CloseIdleConnections}
	if keeps {
		c.told = told
	}
	c.ask = func(ctx context.Context, question string) (string, error) {
		_, answer, err := post(ctx, transport, "http://example.com", question, nil)
		return answer, err
	}
	return c
}

// newHTTP2Transport returns how many of its connections have got GOAWAY as well.
func newHTTP2Transport(tr *trial) (*http.Transport, *atomic.Int64) {
	var told atomic.Int64
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return dialHTTP2(ctx, tr, &told)
	}
	return &http.Transport{DialContext: dial, Protocols: h2cOnly()}, &told
}

// post sends a request that cannot be sent again, unless there is a getBody.
func post(
	ctx context.Context, rt http.RoundTripper, url, question string,
	getBody func() (io.ReadCloser, error),
) (*http.Response, string, error) {
	body := struct{ io.Reader }{strings.NewReader(question)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return nil, "", err
	}
	req.GetBody = getBody
	resp, err := (&http.Client{Transport: rt}).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return resp, string(answer), err
}

// An http2Conn looks for GOAWAY in what a server sends; the clients do not expose it.
type http2Conn struct {
	net.Conn
	header  []byte // of the frame that is being read, until it is complete
	payload int    // how much of the frame is still to come
	told    func()
}

func dialHTTP2(ctx context.Context, tr *trial, told *atomic.Int64) (net.Conn, error) {
	c, err := tr.dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	return &http2Conn{Conn: c, told: func() { told.Add(1) }}, nil
}

func (c *http2Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if skip := min(c.payload, len(rest)); skip > 0 {
			c.payload -= skip
			rest = rest[skip:]
			continue
		}
		c.header = append(c.header, rest[0])
		rest = rest[1:]
		if h := c.header; len(h) == 9 { // RFC 9113, 4.1
			c.payload = int(h[0])<<16 | int(h[1])<<8 | int(h[2])
			if http2.FrameType(h[3]) == http2.FrameGoAway {
				c.told()
			}
			c.header = nil
		}
	}
	return n, err
}

// A connection that h2c.NewHandler has hijacked is waited for while it has requests, and no longer.
func TestLingerBehindH2CNewHandler(t *testing.T) {
	gs := shutdown.New(shutdown.Linger(20 * time.Second))
	i := &instance{GracefulShutdown: gs, name: "old"}
	//lint:ignore SA1019 services that exist use it
	goHTTP(t, i, &http.Server{Handler: h2c.NewHandler(i.DrainHandler(i), &http2.Server{})})
	require.NoError(t, gs.Start(t.Context()))
	c := newHTTP2Client(&trial{old: i}, true)
	defer c.close()
	_, err := c.ask(t.Context(), quick)
	require.NoError(t, err)
	gs.Shutdown(nil)
	assert.NoError(t, gs.Wait(), "%s", gs.Report())
	assert.Less(t, gs.Report().Total, 10*time.Second)
}
