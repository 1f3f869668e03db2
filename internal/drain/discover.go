package drain

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
)

// A program is what is tried, and what was found out about it before the experiments.
type program struct {
	Config                 // its paths are those that were found, and empty where there is none
	starting chan struct{} // has one for each instance that is not ready yet

	tls, http1, http2, grpc bool

	everywhere bool // every path answers 2xx

	turns bool  // Ready is meant to say when the program wants no more requests
	holds bool  // a request whose body comes late is in flight meanwhile
	large int   // bytes of the answer at Large
	idle  *stop // how an idle instance stops: what the others are compared with
}

// discover starts an instance, finds out what it speaks and where, and lets it stop.
func (p *program) discover(ctx context.Context) error {
	in, err := p.launch(ctx)
	if err != nil {
		return err
	}
	if err := p.look(ctx, in); err != nil {
		err = in.failed(err)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	p.idle = p.stopIdle(ctx, in)
	return nil
}

func (p *program) look(ctx context.Context, in *instance) error {
	if err := p.awaitAnswer(ctx, in); err != nil {
		return err
	}
	if p.http1 {
		if err := p.findReady(ctx, in); err != nil {
			return err
		}
	}
	if err := p.awaitReady(ctx, in); err != nil {
		return err
	}
	if p.http1 {
		if err := p.checkUsual(ctx, in); err != nil {
			return err
		}
		p.findPaths(ctx, in)
		p.holds = p.bodyIsWaitedFor(ctx, in)
	}
	p.findHTTP2(ctx, in)
	return nil
}

// elsewhereAfter is when a program that listens at another address is taken to be ready.
const elsewhereAfter = 5 * time.Second

// awaitAnswer waits until the program answers, in whatever protocol.
func (p *program) awaitAnswer(ctx context.Context, in *instance) error {
	connected := false
	for {
		c, err := p.dial(ctx, in.addr(), 0)
		if err == nil {
			c.Close()
			connected = true
			if p.findProtocol(ctx, in) {
				return nil
			}
		}
		age := time.Since(in.begun)
		switch {
		case in.hasEnded():
			return fmt.Errorf("the program has ended, with %s, before it listened at %s: want a server "+
				"that runs until it gets a signal", in.status(), in.addr())
		case connected && age > readyWithin/2:
			return fmt.Errorf("the program accepts connections at %s, but answers neither HTTP nor gRPC "+
				"there: want a server", in.addr())
		case !connected && age > elsewhereAfter && len(listening(in.mark)) > 0:
			return fmt.Errorf("the program listens at %s, and not at %s as it was told: want {port} in its "+
				"arguments where the port belongs, or -env with the variable that it reads",
				strings.Join(listening(in.mark), " and "), in.addr())
		case age > readyWithin:
			return fmt.Errorf("the program has not listened at %s within %v: want {port} in its arguments "+
				"where the port belongs, or -env with the variable that it reads", in.addr(), readyWithin)
		}
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
}

// findProtocol tries HTTP/1, the same with TLS, and gRPC.
func (p *program) findProtocol(ctx context.Context, in *instance) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, p.tls = range []bool{false, true} {
		a, err := p.get(ctx, in, "/")
		wantsTLS := err == nil && a.status == http.StatusBadRequest &&
			strings.Contains(string(a.body), "HTTPS")
		if err == nil && !wantsTLS {
			p.http1 = true
			return true
		}
		c := p.newClient2(in, 0)
		_, _, err = c.check(ctx, once(grpcEmpty))
		c.close()
		if err == nil {
			p.grpc = true
			return true
		}
	}
	p.tls = false
	return false
}

// findReady finds the path of readiness. A program that answers 2xx at any path has none.
func (p *program) findReady(ctx context.Context, in *instance) error {
	p.turns = p.Ready != ""
	a, err := p.get(ctx, in, "/draintest-"+strings.ToLower(rand.Text()))
	p.everywhere = err == nil && a.status/100 == 2
	if p.turns || p.everywhere {
		return nil
	}
	for _, path := range []string{"/readyz", "/healthz", "/health", "/livez"} {
		a, err := p.get(ctx, in, path)
		if err != nil {
			return fmt.Errorf("GET %s failed: %w", path, err)
		}
		if a.status/100 == 2 || a.status == http.StatusServiceUnavailable { // it is still starting
			p.Ready, p.turns = path, path != "/livez"
			return nil
		}
	}
	return nil
}

// isReady asks once.
func (p *program) isReady(ctx context.Context, in *instance) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.http1 {
		a, err := p.get(ctx, in, p.readyPath())
		return err == nil && (a.status/100 == 2 || p.Ready == "" && !a.fails())
	}
	c := p.newClient2(in, 0)
	defer c.close()
	status, serving, err := c.check(ctx, once(grpcEmpty))
	return err == nil && (serving || status != "0")
}

// unready says why a program is not.
func (p *program) unready(ctx context.Context, in *instance) string {
	if !p.http1 {
		return "gRPC's health check does not say SERVING"
	}
	path := p.readyPath()
	a, err := p.get(ctx, in, path)
	if err != nil {
		return fmt.Sprintf("GET %s is %s", path, what(err))
	}
	return fmt.Sprintf("GET %s answers %d, want 2xx; -ready names another path", path, a.status)
}

func (p *program) readyPath() string {
	if p.Ready == "" {
		return "/"
	}
	return p.Ready
}

// checkUsual looks whether the program answers the usual request.
func (p *program) checkUsual(ctx context.Context, in *instance) error {
	c, err := p.dial(ctx, in.addr(), 0)
	if err != nil {
		return err
	}
	defer c.Close()
	a, err := c.do(p.Method, p.usualRequest(), patience)
	if err == nil && a.fails() {
		err = fmt.Errorf("the status is %d", a.status)
	}
	if err != nil {
		return fmt.Errorf("%s %s fails before anything has stopped: %w; want a request that the program "+
			"answers: -path, -method, -body, -header", p.Method, p.Path, err)
	}
	return nil
}

// findPaths looks for the paths that were not given where people usually have them.
func (p *program) findPaths(ctx context.Context, in *instance) {
	find := func(path *string, candidates []string, fits func(path string) bool) {
		if *path != "" || p.everywhere {
			return
		}
		for _, candidate := range candidates {
			if candidate != p.Ready && fits(candidate) {
				*path = candidate
				return
			}
		}
	}
	find(&p.Live, []string{"/livez", "/healthz", "/health"}, func(path string) bool {
		a, err := p.get(ctx, in, path)
		return err == nil && a.status/100 == 2
	})
	find(&p.Events, []string{"/events", "/sse", "/stream"}, func(path string) bool {
		c, _, err := p.openEvents(ctx, in, path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	find(&p.Socket, []string{"/ws", "/websocket", "/socket"}, func(path string) bool {
		c, err := p.openSocket(ctx, in, path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	large := p.Large
	if large == "" {
		large = p.Path
	}
	if a, err := p.get(ctx, in, large); err == nil {
		p.large = len(a.body)
	}
	if p.Large == "" && p.large >= largeEnough {
		p.Large = large
	}
}

// openEvents begins to read a stream of events, whose path has to have one.
func (p *program) openEvents(
	ctx context.Context, in *instance, path string,
) (*conn, *http.Response, error) {
	return p.open(ctx, in, path, func(resp *http.Response) error {
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if resp.StatusCode == http.StatusOK && kind == "text/event-stream" {
			return nil
		}
		return fmt.Errorf("GET %s answers %s and %q, not a stream of events", path, resp.Status, kind)
	}, "Accept", "text/event-stream")
}

// openSocket opens a WebSocket.
func (p *program) openSocket(ctx context.Context, in *instance, path string) (*conn, error) {
	c, _, err := p.open(ctx, in, path, func(resp *http.Response) error {
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return nil
		}
		return fmt.Errorf("GET %s answers %s to a WebSocket's handshake", path, resp.Status)
	}, "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "ZHJhaW50ZXN0IGtleSAuLg==")
	return c, err
}

// open asks for a path on a new connection and keeps that, if check is content with the head of the
// answer.
func (p *program) open(
	ctx context.Context, in *instance, path string, check func(*http.Response) error, header ...string,
) (*conn, *http.Response, error) {
	c, err := p.dial(ctx, in.addr(), 0)
	if err != nil {
		return nil, nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err = c.Write(p.request(http.MethodGet, path, "", header...)); err == nil {
		var resp *http.Response
		if resp, err = c.head(http.MethodGet); err == nil {
			if err = check(resp); err == nil {
				return c, resp, nil
			}
		}
	}
	c.Close()
	return nil, nil, err
}

// bodyIsWaitedFor tells whether a request is in flight as long as its body has not come. A handler
// that does not read it has answered long before.
func (p *program) bodyIsWaitedFor(ctx context.Context, in *instance) bool {
	if p.Body == "" {
		return false
	}
	h, err := p.holdBody(ctx, in)
	if err != nil {
		return false
	}
	defer h.close()
	_ = h.c.SetDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := h.c.br.Peek(1); !isTimeout(err) {
		return false
	}
	_, err = h.finish(ctx, patience)
	return err == nil
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// findHTTP2 finds out whether the program speaks HTTP/2 and gRPC as well.
func (p *program) findHTTP2(ctx context.Context, in *instance) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := p.newClient2(in, 0)
	defer c.close()
	if !p.grpc {
		_, _, err := c.check(ctx, once(grpcEmpty))
		p.grpc = err == nil
	}
	if p.http1 {
		resp, _, err := c.do(ctx, p.Method, p.Path, "application/json", once(p.Body))
		p.http2 = err == nil && resp.ProtoMajor == 2
	}
}

// A stop is how an idle instance stops. Its fields are set when done is closed.
type stop struct {
	done      chan struct{}
	ended     bool // by itself, within Grace
	status    exitStatus
	took      time.Duration
	listening []string // where it still listens if it has not ended
	wrote     string
}

func (s *stop) wait() *stop {
	<-s.done
	return s
}

// stopIdle sends the signal and watches in the background, because it may take all of Grace.
func (p *program) stopIdle(ctx context.Context, in *instance) *stop {
	s := &stop{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer in.close()
		begin := time.Now()
		in.signal(p.Signal)
		s.ended = in.await(ctx, p.Grace)
		s.wrote = in.output.String()
		if s.ended {
			s.status, s.took = in.status(), in.endedAt.Sub(begin)
			return
		}
		s.listening = listening(in.mark)
		if len(s.listening) == 0 {
			s.listening = p.accepting(ctx, in)
		}
	}()
	return s
}

// accepting returns at which of its ports an instance still accepts connections.
func (p *program) accepting(ctx context.Context, in *instance) (addrs []string) {
	for _, port := range in.ports {
		if c, err := p.dial(ctx, address(port), 0); err == nil {
			c.Close()
			addrs = append(addrs, address(port))
		}
	}
	return addrs
}
