package drain

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A caller makes the requests of one protocol. call is used by one worker at a time, with its own
// state; forget is called when all workers have ended.
type caller struct {
	workers   int
	newWorker func() worker
	forget    func()
}

type worker interface {
	call(ctx context.Context, in *instance) error
	close()
}

// A load is what clients send through a balancer that knows the instances.
type load struct {
	caller  caller
	workers sync.WaitGroup
	ended   chan struct{}
	endOnce func()

	mu        sync.Mutex
	instances []*instance
	inFlight  map[*instance]int // requests
	tally     tally
}

// A tally counts requests.
type tally struct {
	sent, lost int
	how        map[string]int // of those that are lost
}

func (n tally) String() string { return fmt.Sprintf("%d of %d requests lost", n.lost, n.sent) }

// ways says how they were lost.
func (n tally) ways() string {
	var ways []string
	for _, way := range slices.Sorted(maps.Keys(n.how)) {
		ways = append(ways, fmt.Sprintf("%d %s", n.how[way], way))
	}
	return strings.Join(ways, ", ")
}

func (n *tally) add(err error) {
	n.sent++
	if err != nil {
		n.lost++
		if n.how == nil {
			n.how = map[string]int{}
		}
		n.how[what(err)]++
	}
}

func newLoad(c caller) *load {
	l := &load{caller: c, ended: make(chan struct{}), inFlight: map[*instance]int{}}
	l.endOnce = sync.OnceFunc(func() { close(l.ended) })
	return l
}

func (l *load) add(in *instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.instances = append(l.instances, in)
}

func (l *load) remove(in *instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.instances = slices.DeleteFunc(l.instances, func(i *instance) bool { return i == in })
}

// awaitAnswers returns when no request is in flight to an instance that was removed.
func (l *load) awaitAnswers(ctx context.Context, in *instance, within time.Duration) error {
	waits := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.inFlight[in] > 0
	}
	for end := time.Now().Add(within); waits() && time.Now().Before(end); {
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) begins() *instance {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.instances[rand.IntN(len(l.instances))]
	l.inFlight[in]++
	return in
}

func (l *load) ends(in *instance, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight[in]--
	l.tally.add(err)
}

func (l *load) count() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.tally
	n.how = maps.Clone(n.how)
	return n
}

func (l *load) start(ctx context.Context) {
	for range l.caller.workers {
		l.workers.Go(func() {
			w := l.caller.newWorker()
			defer w.close()
			// Clients that begin together stay in step, and then nothing is on its way while the
			// server answers.
			if pause(ctx, rand.N(2*late)) != nil {
				return
			}
			for {
				in := l.begins()
				err := w.call(ctx, in)
				if context.Cause(ctx) != nil {
					return // given up by us
				}
				l.ends(in, err)
				select {
				case <-l.ended:
					return
				case <-time.After(5 * time.Millisecond): // a gentle load: the machine has other work
				}
			}
		})
	}
}

// warmUp returns when the load is what it will be.
func (l *load) warmUp(ctx context.Context) error {
	const enough = 50
	for end := time.Now().Add(5 * time.Second); l.count().sent < enough && time.Now().Before(end); {
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
	return pause(ctx, 200*time.Millisecond)
}

// stop waits for the requests in flight. It may be called twice.
func (l *load) stop() tally {
	l.endOnce()
	l.workers.Wait()
	l.caller.forget()
	return l.count()
}

// A failedStatus is the error of a request that the server has answered by a failure.
type failedStatus int

func (s failedStatus) Error() string { return fmt.Sprintf("answered by status %d", int(s)) }

func keepAliveLoad(p *program) caller { return http1Load(p, false) }

func newConnectionLoad(p *program) caller { return http1Load(p, true) }

func http1Load(p *program, never bool) caller {
	return caller{
		workers: 4,
		newWorker: func() worker {
			return &keepAlive{p: p, conns: map[*instance]*conn{}, never: never}
		},
		forget: func() {},
	}
}

// A keepAlive has one connection to each instance.
type keepAlive struct {
	p     *program
	conns map[*instance]*conn
	never bool // a new one for each request
}

func (k *keepAlive) call(ctx context.Context, in *instance) error {
	c := k.conns[in]
	if c != nil && closedByServer(c.tcp) { // as any client would notice
		c.Close()
		c = nil
	}
	if c == nil {
		var err error
		if c, err = k.p.dial(ctx, in.addr(), 0); err != nil {
			delete(k.conns, in)
			return err
		}
		k.conns[in] = c
	}
	a, err := c.do(k.p.Method, k.p.usualRequest(), patience)
	if err != nil || a.last || k.never {
		c.Close()
		delete(k.conns, in)
	}
	if err == nil && a.fails() {
		err = failedStatus(a.status)
	}
	return err
}

func (k *keepAlive) close() {
	for _, c := range k.conns {
		c.Close()
	}
}

// late is one half of the round trip to the server, a usual one between two towns. With so many
// clients some request is always on its way there, so a GOAWAY that comes too early loses one.
const (
	late          = 25 * time.Millisecond
	sharedClients = 32
)

func sharedLoad(p *program) caller {
	return sharing(p, func(ctx context.Context, c *client2) error {
		resp, _, err := c.do(ctx, p.Method, p.Path, "application/json", once(p.Body))
		if err == nil && resp.StatusCode >= http.StatusInternalServerError {
			err = failedStatus(resp.StatusCode)
		}
		return err
	})
}

func callLoad(p *program) caller {
	return sharing(p, func(ctx context.Context, c *client2) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, _, err := c.check(ctx, once(grpcEmpty))
		return err
	})
}

// sharing returns a caller whose workers share one connection to each instance.
func sharing(p *program, call func(context.Context, *client2) error) caller {
	s := &shared{p: p, request: call, clients: map[*instance]*client2{}}
	return caller{
		workers:   sharedClients,
		newWorker: func() worker { return s },
		forget: func() {
			for _, c := range s.clients {
				c.close()
			}
		},
	}
}

type shared struct {
	p       *program
	request func(context.Context, *client2) error

	mu      sync.Mutex
	clients map[*instance]*client2
}

func (s *shared) call(ctx context.Context, in *instance) error {
	s.mu.Lock()
	c := s.clients[in]
	if c == nil {
		c = s.p.newClient2(in, late)
		s.clients[in] = c
	}
	s.mu.Unlock()
	return s.request(ctx, c)
}

func (*shared) close() {}
