package drain

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// idleConnections uses connections that were idle at the signal, one after the other, while no
// balancer knows yet.
func idleConnections(ctx context.Context, p *program) (finding, error) {
	if !p.http1 {
		return notApplicable("it does not speak HTTP/1"), nil
	}
	for range 5 {
		f, used, err := p.useIdle(ctx)
		if err != nil || f.verdict != OK || used >= 4 {
			return f, err
		}
	}
	return notApplicable("this machine is too busy to use connections within %v", p.Lag), nil
}

// useIdle returns how many connections were used in time, too.
func (p *program) useIdle(ctx context.Context) (f finding, used int, err error) {
	in, err := p.start(ctx)
	if err != nil {
		return finding{}, 0, err
	}
	defer in.close()
	const n = 8
	var conns []*conn
	for range n {
		c, err := p.dial(ctx, in.addr(), 0)
		if err != nil {
			return finding{}, 0, err
		}
		defer c.Close()
		a, err := c.do(p.Method, p.usualRequest(), patience)
		if err != nil {
			return fault("a request on a new connection, before the signal, was %s", what(err)), 0, nil
		}
		if a.last {
			return notApplicable("it does not keep connections alive"), 0, nil
		}
		conns = append(conns, c)
	}

	begin := time.Now()
	in.signal(p.Signal)
	var sent tally
	told := 0
	for i, c := range conns {
		due := p.Lag * time.Duration(i) / n
		if err := pause(ctx, time.Until(begin.Add(due))); err != nil {
			return finding{}, 0, err
		}
		if time.Since(begin) > p.Lag {
			break // this machine is late: by now a balancer would know
		}
		a, err := c.do(p.Method, p.usualRequest(), patience)
		if err == nil && a.fails() {
			err = failedStatus(a.status)
		}
		sent.add(err)
		if err == nil && a.last {
			told++
		}
	}
	answered := sent.sent - sent.lost
	switch {
	case sent.lost > 0:
		f = fault("%s, on connections that were idle at the signal: %s", sent, sent.ways())
		f.sure = sent.lost > n/2 // each of them was used in time
	case told < answered-1: // the first may have been answered before the program had the signal
		f = fault("%d of %d answers after the signal say \"Connection: close\": a client that is not "+
			"told sends its next request just as the connection is closed", told, answered)
	default:
		f = ok("%s, %d of %d clients told to leave", sent, told, answered)
	}
	return f, sent.sent, nil
}

// queue connects without a pause from the signal on until nobody listens. A refused connection does
// no harm; one that was established and gets no answer does.
func queue(ctx context.Context, p *program) (finding, error) {
	if !p.http1 {
		return notApplicable("it does not speak HTTP/1"), nil
	}
	in, err := p.start(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()

	in.signal(p.Signal)
	end := time.Now().Add(min(p.Grace, 10*time.Second))
	var mu sync.Mutex
	var n tally
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for time.Now().Before(end) && context.Cause(ctx) == nil {
				counts, goOn, lost := p.connectAndAsk(ctx, in)
				mu.Lock()
				if counts {
					n.add(lost)
				}
				mu.Unlock()
				if !goOn || pause(ctx, 2*time.Millisecond) != nil {
					return
				}
			}
		})
	}
	clients.Wait()
	if n.lost > 0 {
		return fault("%s, on connections that were established: %s", n, n.ways()), context.Cause(ctx)
	}
	return ok("%s until the listener was closed", n), context.Cause(ctx)
}

// connectAndAsk makes one request on a new connection. It does not count if the connection was
// refused, or if this machine was too busy to send the request at once. goOn is false if nobody
// listens any more.
func (p *program) connectAndAsk(ctx context.Context, in *instance) (counts, goOn bool, lost error) {
	c, err := p.dial(ctx, in.addr(), 0)
	if err != nil {
		return !refused(err) && !p.tls, !refused(err) && !in.hasEnded(), err
	}
	defer c.Close()
	connected := time.Now()
	if _, err = c.Write(p.usualRequest()); err == nil {
		if time.Since(connected) > 50*time.Millisecond {
			return false, true, nil
		}
		_, err = c.answer(p.Method, patience)
	}
	return true, !in.hasEnded(), err
}

// silent stops two instances at the same time, one of which has a connection that says nothing.
func silent(ctx context.Context, p *program) (finding, error) {
	var instances [2]*instance
	for i := range instances {
		in, err := p.start(ctx)
		if err != nil {
			return finding{}, err
		}
		defer in.close()
		instances[i] = in
	}
	control, in := instances[0], instances[1]
	c, err := p.dialSilently(ctx, in)
	if err != nil {
		return finding{}, err
	}
	defer c.Close()
	if err := pause(ctx, 200*time.Millisecond); err != nil { // until the program has accepted it
		return finding{}, err
	}
	begin := time.Now()
	control.signal(p.Signal)
	in.signal(p.Signal)
	if !control.await(ctx, p.Grace) {
		return notApplicable("it does not end without such a connection either: see exit"),
			context.Cause(ctx)
	}
	without := control.endedAt.Sub(begin)
	const tolerance = 2 * time.Second
	if !in.await(ctx, time.Until(begin.Add(without+tolerance))) {
		sure := !in.await(ctx, tolerance) // chance does not last so long
		if sure && !p.Quick {
			in.await(ctx, 4*time.Second) // for the figure: net/http waits for five
		}
		f := fault("the stop takes more than %v with it, and %v without",
			seconds(time.Since(begin)), seconds(without))
		if in.hasEnded() {
			f = fault("the stop takes %v with it, and %v without",
				seconds(in.endedAt.Sub(begin)), seconds(without))
		}
		f.sure = sure
		return f, context.Cause(ctx)
	}
	return ok("the stop takes %v with it, and %v without",
		seconds(in.endedAt.Sub(begin)), seconds(without)), nil
}

// dialSilently connects, without TLS, because its handshake would be something said.
func (p *program) dialSilently(ctx context.Context, in *instance) (io.Closer, error) {
	quiet := &program{Config: p.Config}
	return quiet.dial(ctx, in.addr(), 0)
}

// largeEnough is more than what the kernel buffers between a program that has ended its work and a
// client that does not read.
const largeEnough = 1 << 20

// slowReader reads a large answer only when the listener has been closed.
func slowReader(ctx context.Context, p *program) (finding, error) {
	if !p.http1 || p.Large == "" {
		return notApplicable("no large answer: give -large a path that answers more than a megabyte"), nil
	}
	in, err := p.start(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()
	c, err := p.dial(ctx, in.addr(), 4096)
	if err != nil {
		return finding{}, err
	}
	defer c.Close()
	if _, err := c.Write(p.request(http.MethodGet, p.Large, "")); err != nil {
		return finding{}, err
	}
	if _, err := c.br.Peek(1); err != nil {
		return fault("the request was %s", what(err)), nil
	}
	in.signal(p.Signal)
	if _, err := p.awaitClosed(ctx, in); err != nil {
		return finding{}, err
	}
	a, err := c.answer(http.MethodGet, p.Grace)
	if err != nil {
		return fault("the answer was cut after %d of %d bytes", len(a.bytes()), p.large), nil
	}
	return ok("%d bytes, most of them after the listener was closed", len(a.body)), nil
}

func (a *answer) bytes() []byte {
	if a == nil {
		return nil
	}
	return a.body
}

// awaitClosed returns when nobody listens any more, or the program goes on listening for as long as
// it makes sense to wait, and then some moments later. It returns when that was.
func (p *program) awaitClosed(ctx context.Context, in *instance) (time.Time, error) {
	closed := time.Now()
	for end := closed.Add(min(p.Grace/2, 10*time.Second)); time.Now().Before(end) && !in.hasEnded(); {
		c, err := p.dialSilently(ctx, in)
		closed = time.Now()
		if err != nil {
			break
		}
		c.Close()
		if err := pause(ctx, tick); err != nil {
			return closed, err
		}
	}
	return closed, pause(ctx, 300*time.Millisecond)
}
