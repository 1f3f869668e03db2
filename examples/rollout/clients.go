package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// maxRequests bounds what one row may send, whatever the replacements take.
	maxRequests = 2_000_000

	// requestTimeout is generous: a slow machine is no failure.
	requestTimeout = time.Minute

	// pauseAfterFailure keeps a client that is refused from counting the speed of this machine.
	pauseAfterFailure = 20 * time.Millisecond
)

// clients call the service in closed loops: each of their workers sends its next request when the last one is answered.
type clients struct {
	workers sync.WaitGroup
	done    chan struct{} // closed when the workers are to end

	mu        sync.Mutex
	latencies []time.Duration // of the requests that were answered
	errors    map[string]int
	failures  int
}

// startClients starts workers, which end with stop or ctx.
func startClients(ctx context.Context, cfg config, traffic string, dial func(context.Context) (net.Conn, error)) (*clients, error) {
	c := &clients{done: make(chan struct{}), errors: map[string]int{}}
	for range cfg.clients {
		call, closeConnections, err := newClient(traffic, dial)
		if err != nil {
			c.stop()
			return nil, err
		}
		var client sync.WaitGroup
		for range cfg.parallel {
			client.Add(1)
			c.workers.Go(func() {
				defer client.Done()
				c.work(ctx, call)
			})
		}
		c.workers.Go(func() {
			client.Wait()
			closeConnections()
		})
	}
	return c, nil
}

func (c *clients) work(ctx context.Context, call func(context.Context, []byte) error) {
	for c.goesOn(ctx) {
		payload := bytes.Repeat([]byte{byte(rand.IntN(256))}, 1+rand.IntN(1024))
		begin := time.Now()
		callCtx, cancel := context.WithTimeout(ctx, requestTimeout)
		err := call(callCtx, payload)
		cancel()
		if ctx.Err() != nil {
			return // this request was given up by us, which is nobody's failure
		}
		c.record(time.Since(begin), err)
		if err != nil {
			time.Sleep(pauseAfterFailure)
		}
	}
}

func (c *clients) goesOn(ctx context.Context) bool {
	select {
	case <-c.done:
		return false
	case <-ctx.Done():
		return false
	default:
		requests, _ := c.count()
		return requests < maxRequests
	}
}

func (c *clients) record(latency time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.latencies = append(c.latencies, latency)
		return
	}
	c.failures++
	c.errors[withoutPorts(err)]++
}

var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// withoutPorts makes errors countable.
func withoutPorts(err error) string { return port.ReplaceAllString(err.Error(), "replica") }

func (c *clients) count() (requests, failures int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.latencies) + c.failures, c.failures
}

// waitFor returns when so many requests were made.
func (c *clients) waitFor(ctx context.Context, requests int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if n, _ := c.count(); n >= requests {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

type result struct {
	latencies []time.Duration
	errors    map[string]int
	failures  int
}

// stop waits for the requests in flight and returns what became of all of them.
func (c *clients) stop() result {
	close(c.done)
	c.workers.Wait()
	return result{c.latencies, c.errors, c.failures}
}

// newClient returns a function that makes one request, for use by several workers, who share its connections.
func newClient(traffic string, dial func(context.Context) (net.Conn, error)) (call func(context.Context, []byte) error, closeConnections func(), err error) {
	if traffic == trafficHTTP1 || traffic == trafficHTTP2 {
		transport := &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			MaxIdleConnsPerHost: 1000,
			Protocols:           protocols(traffic),
		}
		client := &http.Client{Transport: transport}
		return func(ctx context.Context, payload []byte) error { return post(ctx, client, payload) }, transport.CloseIdleConnections, nil
	}
	conn, err := grpc.NewClient("passthrough:///service",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }))
	if err != nil {
		return nil, nil, err
	}
	invoke := callUnary
	if traffic == trafficStream {
		invoke = callStream
	}
	return func(ctx context.Context, payload []byte) error { return invoke(ctx, conn, payload) }, func() { _ = conn.Close() }, nil
}

// post sends a request that may not be sent twice: POST is not idempotent, and a body that is a mere io.Reader leaves net/http without
// a GetBody to make another one with.
func post(ctx context.Context, client *http.Client, payload []byte) error {
	body := struct{ io.Reader }{bytes.NewReader(payload)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://service/", body)
	if err != nil {
		return err
	}
	req.ContentLength = int64(len(payload))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
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

func checkAnswer(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the answer has %d bytes, not the %d that were sent", len(got), len(want))
	}
	return nil
}
