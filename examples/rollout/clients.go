package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// maxRequests bounds what one row may send, whatever the replacements take.
	maxRequests = 2_000_000

	// requestTimeout is generous: a slow machine is no failure.
	requestTimeout = time.Minute

	// pauseAfterFailure keeps a client that is refused from counting the speed of this machine.
	pauseAfterFailure = 20 * time.Millisecond
)

// clients call the service, and record what becomes of each request.
type clients struct {
	all     []client
	workers sync.WaitGroup
	done    chan struct{} // closed when the workers are to end

	mu    sync.Mutex
	total int
	tally *tally
}

// A client makes requests on its own connections. Several workers use it at the same time.
type client struct {
	call  func(ctx context.Context, payload []byte) error
	close func()
}

// startClients starts workers, which end with stop or ctx.
func startClients(ctx context.Context, cfg config, e experiment, b balancer) (*clients, error) {
	c := &clients{done: make(chan struct{}), tally: newTally()}
	for range cfg.clients {
		one, err := newClient(e.Traffic, b)
		if err != nil {
			c.stop()
			return nil, err
		}
		c.all = append(c.all, one)
		if e.Traffic == trafficHTTP2Shared { // as by a proxy: all have the same connections
			break
		}
	}
	if e.Load == loadOpen {
		c.workers.Go(func() { c.sendAtRate(ctx, cfg.rate) })
		return c, nil
	}
	for n := range cfg.clients * cfg.parallel {
		one := c.all[n%len(c.all)]
		c.workers.Go(func() { c.sendOneByOne(ctx, one) })
	}
	return c, nil
}

// newClient returns a client of the kind that traffic says.
func newClient(traffic string, b balancer) (client, error) {
	switch traffic {
	case trafficHTTP10:
		return newHTTP10Client(b), nil
	case trafficHTTP2Shared:
		return newSharedHTTP2Client(b.(*ownBalancer)), nil
	case trafficHTTP3, trafficHTTP3Again:
		return newHTTP3Client(traffic, b.(*ownBalancer)), nil
	case trafficUnary, trafficStream:
		return newGRPCClient(traffic, b)
	default:
		return newHTTPClient(traffic, b), nil
	}
}

// sendOneByOne is a closed loop: the next request is sent when the last one is answered.
func (c *clients) sendOneByOne(ctx context.Context, one client) {
	for c.goesOn(ctx) {
		if c.send(ctx, one, time.Now()) != nil {
			time.Sleep(pauseAfterFailure)
		}
	}
}

// sendAtRate is an open loop: a request is sent when it is due, whatever became of the others. Its
// latency counts from when it was due.
func (c *clients) sendAtRate(ctx context.Context, rate int) {
	begin := time.Now()
	for n := 0; c.goesOn(ctx); n++ {
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		c.workers.Go(func() { _ = c.send(ctx, c.all[n%len(c.all)], due) })
	}
}

func (c *clients) goesOn(ctx context.Context) bool {
	select {
	case <-c.done:
		return false
	case <-ctx.Done():
		return false
	default:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.total++
		return c.total <= maxRequests
	}
}

func (c *clients) send(ctx context.Context, one client, begin time.Time) error {
	payload := bytes.Repeat([]byte{byte(rand.IntN(256))}, 1+rand.IntN(1024))
	callCtx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := one.call(callCtx, payload)
	if ctx.Err() != nil {
		return err // given up by this program, not lost by the service
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.add(time.Since(begin), err)
	return err
}

// count returns what there was since the last tally.
func (c *clients) count() (requests, failures int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.requests(), c.tally.failures
}

// measureQuiet returns what becomes of requests for so long, and until there are enough of them.
// From then on they are counted anew.
func (c *clients) measureQuiet(ctx context.Context, least time.Duration) (*tally, error) {
	const enough = 100
	for wait := least; ; wait = 10 * time.Millisecond {
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
		if requests, _ := c.count(); requests >= enough {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	quiet := c.tally
	c.tally = newTally()
	return quiet, nil
}

// stop waits for the requests in flight and returns the last tally.
func (c *clients) stop() *tally {
	close(c.done)
	c.workers.Wait()
	for _, one := range c.all {
		one.close()
	}
	return c.tally
}

func checkAnswer(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the answer has %d bytes, not the %d that were sent", len(got), len(want))
	}
	return nil
}
