// Package integration_test tries the package shutdown with the libraries that people serve with,
// and the other packages with real browsers. (Real databases are in the directory databases.)
//
// A framework is a service of some ten lines, made with one of these libraries. All of them go
// through one test, [replaceUnderLoad].
package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// A framework is a service made with a library, and clients that speak its protocol.
type framework struct {
	name  string
	serve func(t *testing.T, i *instance) // adds a server to i that answers with i.answer
	loads []load
}

// A load is a number of clients, each of which asks in several loops at the same time.
type load struct {
	clients, loops int
	newClient      func(*trial) client
}

// A client asks questions that must not be asked twice.
type client struct {
	ask   func(ctx context.Context, question string) (answer string, err error)
	close func()
	told  *atomic.Int64 // how often it was told to leave; nil if each question has its connection
}

const (
	quick = "quick"
	slow  = "slow" // answered while the server drains
)

// An instance is one process of the service, if there were processes.
type instance struct {
	*shutdown.GracefulShutdown
	name    string // its answers begin with it
	addr    string
	streams shutdown.Tracker
	answers atomic.Int64
	pending atomic.Int64  // slow questions that are not answered
	asked   chan struct{} // receives when one has come
	drains  chan struct{} // closed when the server drains
	goOn    func()        // ends the first step of the stop, in which everything is served

	servesItself bool // the package does not know its listener
}

func startInstance(t *testing.T, f framework, name string, delay time.Duration) *instance {
	t.Helper()
	i := &instance{name: name, asked: make(chan struct{}, 1), drains: make(chan struct{})}
	drains := sync.OnceFunc(func() { close(i.drains) })
	// On a busy machine, a client may come to its question long after it has connected.
	linger := shutdown.Linger(2 * time.Second)
	i.GracefulShutdown = shutdown.New(shutdown.Delay(delay), linger, shutdown.Watch(func(s shutdown.Step) {
		if s.Phase == shutdown.PhaseIngress { // a server that does not wait has cut in a moment
			time.AfterFunc(50*time.Millisecond, drains)
		}
	}))
	f.serve(t, i)
	require.NoError(t, i.AddCallback(shutdown.Callback{
		Name: "streams", Phase: shutdown.PhaseIngress, Func: i.streams.Wait,
	}))
	held := make(holder)
	i.goOn = sync.OnceFunc(func() { close(held) })
	require.NoError(t, i.AddManager(held))
	require.NoError(t, i.Start(t.Context()))
	t.Cleanup(func() { drains(); i.goOn(); i.Shutdown(nil); _ = i.Wait() })
	return i
}

// A holder is a manager that keeps a stop in its first step until it is closed.
type holder chan struct{}

func (h holder) Name() string                               { return "holder" }
func (h holder) Start(context.Context, func(error)) error   { return nil }
func (h holder) ShutdownStart(context.Context, error) error { <-h; return nil }

// listen returns a listener, at which clients find the instance.
func (i *instance) listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	i.addr = l.Addr().String()
	return l
}

// goServe is for what GoHTTP and GoGRPC do not serve.
func (i *instance) goServe(t *testing.T, serve func() error) {
	t.Helper()
	i.servesItself = true
	require.NoError(t, i.Go("serve", func(context.Context) error { return serve() }))
}

func (i *instance) answer(question string) string {
	if question == slow {
		i.pending.Add(1)
		defer i.pending.Add(-1)
		i.asked <- struct{}{}
		<-i.drains
	}
	i.answers.Add(1)
	return i.name + " " + question
}

func (i *instance) isDraining() bool {
	select {
	case <-i.Draining():
		return true
	default:
		return false
	}
}

// A trial is the replacement of one instance by another one.
type trial struct {
	old     *instance
	new     atomic.Pointer[instance] // nil until the stop
	noticed atomic.Bool              // the balancer knows of it: new connections go to new
}

func (tr *trial) addr() string {
	if tr.noticed.Load() {
		return tr.new.Load().addr
	}
	return tr.old.addr
}

// dial is the balancer. It tries again only if the connection is refused, for a test that is so
// slow that the balancer notices too late.
func (tr *trial) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", tr.addr())
	if errors.Is(err, syscall.ECONNREFUSED) {
		return new(net.Dialer).DialContext(ctx, "tcp", tr.new.Load().addr)
	}
	return c, err
}

// A loop asks quick questions one after the other.
type loop struct {
	byOld, byNew atomic.Int64 // answers
	enough       int64        // answers to wait for
}

func (l *loop) answers() int64 { return l.byOld.Load() + l.byNew.Load() }

func (l *loop) run(ctx context.Context, c client, done *atomic.Bool) error {
	for !done.Load() {
		answer, err := c.ask(ctx, quick)
		switch {
		case err != nil:
			answers := fmt.Sprintf("%d answers of old and %d of new", l.byOld.Load(), l.byNew.Load())
			return fmt.Errorf("after %s: %w", answers, err)
		case answer == "old "+quick:
			l.byOld.Add(1)
		case answer == "new "+quick:
			l.byNew.Add(1)
		default:
			return errors.New("not an answer: " + answer)
		}
		time.Sleep(time.Millisecond) // for the load to be bearable
	}
	return nil
}

// replaceUnderLoad stops an instance while clients ask, and others take its place. Every question
// is answered, once, whatever its connection. A client that keeps its connection leaves because it
// is told to.
func replaceUnderLoad(t *testing.T, f framework) {
	const delay = 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only reached if the test fails
	defer cancel()
	tr := &trial{old: startInstance(t, f, "old", delay)}

	var asking sync.WaitGroup
	var done atomic.Bool
	defer asking.Wait()
	defer done.Store(true)
	var clients []client
	var loops []*loop
	var slowOnes sync.WaitGroup
	newClient := func(l load) client {
		c := l.newClient(tr)
		t.Cleanup(c.close)
		return c
	}
	for _, load := range f.loads {
		asker := newClient(load)
		slowOnes.Go(func() {
			defer asker.close()
			answer, err := asker.ask(ctx, slow)
			assert.NoError(t, err, "a question in flight")
			assert.Equal(t, "old slow", answer)
		})
		select {
		case <-tr.old.asked:
		case <-ctx.Done():
			t.Fatal("the slow question has not come")
		}
		for range load.clients {
			c := newClient(load)
			clients = append(clients, c)
			for range load.loops {
				l := new(loop)
				loops = append(loops, l)
				asking.Go(func() { assert.NoError(t, l.run(ctx, c, &done), "a question is lost") })
			}
		}
	}
	await := func(what string, enough func(*loop) bool) {
		t.Helper()
		for _, l := range loops {
			for !enough(l) {
				require.False(t, t.Failed() || ctx.Err() != nil, "waiting for %s", what)
				time.Sleep(time.Millisecond)
			}
		}
	}

	await("answers of old", func(l *loop) bool { return l.byOld.Load() >= 10 })
	for _, c := range clients {
		assert.True(t, c.told == nil || c.told.Load() == 0, "told to leave before the stop")
	}
	successor := startInstance(t, f, "new", 0)
	tr.new.Store(successor)
	tr.old.Shutdown(nil)
	awaitMore := func(what string) {
		t.Helper()
		for _, l := range loops {
			l.enough = l.answers() + 2 // the second one is asked from now on
		}
		await(what, func(l *loop) bool { return l.answers() >= l.enough })
	}
	awaitMore("answers that tell clients to leave")
	notice := func() { tr.noticed.Store(true) }
	if tr.old.servesItself { // it loses connections that come as it closes its listener
		notice()
		awaitMore("the last connections to old")
	} else {
		time.AfterFunc(delay/2, notice)
	}
	tr.old.goOn()
	require.NoError(t, tr.old.Wait(), "%s", tr.old.Report())
	assert.Zero(t, tr.old.pending.Load(), "questions in flight that the stop has not waited for")
	slowOnes.Wait()
	await("answers of new", func(l *loop) bool { return l.byNew.Load() >= 10 })
	done.Store(true)
	asking.Wait()

	byOld := int64(len(f.loads)) // the slow ones
	for _, l := range loops {
		byOld += l.byOld.Load()
	}
	assert.Equal(t, byOld, tr.old.answers.Load(), "answers that arrived, and those that were given")
	for i, c := range clients {
		assert.True(t, c.told == nil || c.told.Load() > 0, "client %d was not told to leave", i)
		c.close()
	}
	successor.goOn()
	successor.Shutdown(nil)
	require.NoError(t, successor.Wait(), "%s", successor.Report())
	assert.Empty(t, leftGoroutines(), "goroutines left")
}

func run(t *testing.T, frameworks ...framework) {
	t.Helper()
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) { replaceUnderLoad(t, f) })
	}
}

// leftGoroutines returns the stacks of goroutines of this module's packages. Those of a connection
// that was just closed may need a moment, so it looks several times.
func leftGoroutines() string {
	var left []string
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(time.Millisecond) {
		buf := make([]byte, 1<<22)
		left = nil
		for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if ours.MatchString(stack) {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return ""
		}
	}
	return strings.Join(left, "\n\n")
}

var ours = regexp.MustCompile(`gracekit/(shutdown|internal)\b`)

func TestMain(m *testing.M) {
	code := m.Run()
	if left := leftGoroutines(); code == 0 && left != "" {
		fmt.Fprintln(os.Stderr, "goroutines left:\n"+left)
		code = 1
	}
	os.Exit(code)
}
