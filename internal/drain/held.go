package drain

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// A held request is in flight for as long as it takes, or until the client finishes it.
type held struct {
	c      *conn
	method string
	rest   []byte // of the request; empty if it is one to Slow, which takes its time by itself

	// A gRPC call, if c is nil: rest goes to body, and the call's outcome comes from called.
	client *client2
	body   *io.PipeWriter
	called chan error
}

const noHold = "no request of this program stays in flight: give -slow a path that takes a " +
	"second or more to answer"

// hold begins a request that stays in flight. It returns nil if the program has none.
func (p *program) hold(ctx context.Context, in *instance) (h *held, err error) {
	switch {
	case p.http1 && p.Slow != "":
		h, err = p.holdSlow(ctx, in)
	case p.holds:
		h, err = p.holdBody(ctx, in)
	case !p.http1 && p.grpc:
		h = p.holdCall(ctx, in)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return h, pause(ctx, 100*time.Millisecond) // until the handler has it
}

func (p *program) holdSlow(ctx context.Context, in *instance) (*held, error) {
	c, err := p.dial(ctx, in.addr(), 0)
	if err != nil {
		return nil, err
	}
	_, err = c.Write(p.request(http.MethodGet, p.Slow, ""))
	return &held{c: c, method: http.MethodGet}, err
}

// holdBody begins a request with half of its body.
func (p *program) holdBody(ctx context.Context, in *instance) (*held, error) {
	c, err := p.dial(ctx, in.addr(), 0)
	if err != nil {
		return nil, err
	}
	request := p.usualRequest()
	half := len(request) - (len(p.Body)+1)/2
	_, err = c.Write(request[:half])
	return &held{c: c, method: p.Method, rest: request[half:]}, err
}

func (p *program) holdCall(ctx context.Context, in *instance) *held {
	reader, writer := io.Pipe()
	h := &held{
		client: p.newClient2(in, 0), rest: []byte(grpcEmpty), body: writer, called: make(chan error, 1),
	}
	go func() {
		_, _, err := h.client.check(ctx, reader)
		h.called <- err
		reader.CloseWithError(err)
	}()
	return h
}

// endless tells whether the request is in flight until the client finishes it.
func (h *held) endless() bool { return len(h.rest) > 0 }

// finish sends the rest and reads the answer.
func (h *held) finish(ctx context.Context, within time.Duration) (*answer, error) {
	if h.c != nil {
		return h.c.do(h.method, h.rest, within)
	}
	if _, err := h.body.Write(h.rest); err == nil {
		h.body.Close()
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-h.called:
		return &answer{status: http.StatusOK}, err
	case <-timer.C:
		return nil, context.DeadlineExceeded
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (h *held) close() {
	if h.c != nil {
		h.c.Close()
		return
	}
	h.body.CloseWithError(errors.New("given up"))
	h.client.close()
}
