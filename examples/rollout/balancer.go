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

// A balancer stands between clients and replicas.
type balancer interface {
	// dial opens a connection for a client.
	dial(ctx context.Context) (net.Conn, error)

	// add and remove tell that a replica has started and is about to be stopped, for balancers that
	// do not find out by themselves.
	add(addr string) error
	remove(addr string) error

	// settle returns when the balancer knows the present replicas.
	settle(ctx context.Context) error

	// close ends it, also when the context of startBalancer has ended.
	close()
}

// startBalancer returns a balancer for the replicas at addresses. Only the first ones are up.
func startBalancer(
	ctx context.Context, cfg config, e experiment, addresses []string, up int,
) (balancer, error) {
	var kind proxyKind
	switch e.Via {
	case viaOwn:
		return newOwnBalancer(cfg.lag, addresses[:up]), nil
	case viaUnaware:
		return unawareBalancer(addresses), nil
	case viaHAProxy:
		kind = haproxy()
	case viaNginx:
		kind = nginx()
	case viaNginxReload:
		kind, addresses = nginx(), addresses[:up] // it is told of the others
	case viaCaddy:
		kind = caddy()
	}
	p, err := startProxy(ctx, kind, cfg, e, addresses)
	switch {
	case err != nil:
		return nil, err
	case e.Via == viaNginxReload:
		return reloadedProxy{p}, nil
	}
	return p, nil
}

// An ownBalancer balances connections, as kube-proxy does: a new connection goes to one of the
// endpoints that it believes in, chosen at random, and stays there. It learns of changes late.
// kube-proxy rewrites the address of the first packet in the client's kernel; here the clients ask
// dial for a connection. Both leave client and replica with a TCP connection that nothing stands in
// the middle of, and a client that is sent to a replica that is gone is refused.
type ownBalancer struct {
	lag time.Duration

	mu        sync.Mutex
	endpoints []string
	pending   sync.WaitGroup // changes that it does not know yet
}

func newOwnBalancer(lag time.Duration, endpoints []string) *ownBalancer {
	return &ownBalancer{lag: lag, endpoints: slices.Clone(endpoints)}
}

func (b *ownBalancer) add(addr string) error {
	b.learn(func() { b.endpoints = append(b.endpoints, addr) })
	return nil
}

func (b *ownBalancer) remove(addr string) error {
	b.learn(func() {
		b.endpoints = slices.DeleteFunc(b.endpoints, func(e string) bool { return e == addr })
	})
	return nil
}

func (b *ownBalancer) learn(change func()) {
	b.pending.Add(1)
	time.AfterFunc(b.lag, func() {
		defer b.pending.Done()
		b.mu.Lock()
		defer b.mu.Unlock()
		change()
	})
}

func (b *ownBalancer) settle(ctx context.Context) error {
	b.pending.Wait() // for -lag at most
	return context.Cause(ctx)
}

func (b *ownBalancer) close() {}

// dial opens a connection to one of the endpoints.
func (b *ownBalancer) dial(ctx context.Context) (net.Conn, error) {
	endpoint, err := b.choose()
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", endpoint)
}

func (b *ownBalancer) choose() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.endpoints) == 0 {
		return "", errors.New("no endpoint")
	}
	return b.endpoints[rand.IntN(len(b.endpoints))], nil
}

// An unawareBalancer never learns of a change. New connections come until a replica closes its
// listener. One that cannot be opened goes to another replica: nothing was sent on it.
type unawareBalancer []string

func (b unawareBalancer) dial(ctx context.Context) (net.Conn, error) {
	var errs []error
	for _, i := range rand.Perm(len(b)) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", b[i])
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (b unawareBalancer) add(string) error                 { return nil }
func (b unawareBalancer) remove(string) error              { return nil }
func (b unawareBalancer) settle(ctx context.Context) error { return context.Cause(ctx) }
func (b unawareBalancer) close()                           {}
