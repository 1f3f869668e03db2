package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// A balancer balances connections, as kube-proxy does: a new connection goes to one of the endpoints that it believes in, chosen at
// random, and stays there. kube-proxy rewrites the address of the first packet in the client's kernel; here the clients ask dial for
// a connection. Both leave client and replica with a TCP connection that nobody stands in the middle of, and a client that is sent to
// a replica that is gone is refused.
type balancer struct {
	lag time.Duration // how late it learns of a change

	mu        sync.Mutex
	endpoints []string
}

// learn makes a change known to the balancer, late. The returned channel is closed when it knows.
func (b *balancer) learn(change func(endpoints []string) []string) <-chan struct{} {
	known := make(chan struct{})
	time.AfterFunc(b.lag, func() {
		defer close(known)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.endpoints = change(b.endpoints)
	})
	return known
}

func with(addr string) func([]string) []string {
	return func(endpoints []string) []string { return append(endpoints, addr) }
}

func without(addr string) func([]string) []string {
	return func(endpoints []string) []string {
		return slices.DeleteFunc(endpoints, func(e string) bool { return e == addr })
	}
}

// dial opens a connection to one of the endpoints.
func (b *balancer) dial(ctx context.Context) (net.Conn, error) {
	endpoint, err := b.choose()
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", endpoint)
}

func (b *balancer) choose() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.endpoints) == 0 {
		return "", errors.New("no endpoint")
	}
	return b.endpoints[rand.IntN(len(b.endpoints))], nil
}
