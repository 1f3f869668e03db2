package notify_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/reqid"
)

func TestMain(m *testing.M) {
	notify.SetLogger(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// soon is never reached unless a test fails.
const soon = 30 * time.Second

func TestParse(t *testing.T) {
	tests := []struct {
		name, payload string
		want          notify.Message
		err           string
	}{
		{"a secret", `{"event":"SecretChanged","version":42}`, notify.Message{Event: notify.SecretChanged, Version: 42}, ""},
		{"a policy", `{"event":"PolicyChanged","version":18446744073709551615}`, notify.Message{Event: notify.PolicyChanged, Version: 1<<64 - 1}, ""},
		{"a user, and the request", `{"event":"UserChanged","version":7,"requestID":"r-1"}`, notify.Message{Event: notify.UserChanged, Version: 7, RequestID: "r-1"}, ""},
		{"from a newer server", `{"event":"PolicyChanged","version":1,"by":"ann"}`, notify.Message{Event: notify.PolicyChanged, Version: 1}, ""},
		{"unknown event", `{"event":"GroupChanged","version":1}`, notify.Message{}, `notify: event "GroupChanged", want "SecretChanged", "PolicyChanged" or "UserChanged"`},
		{"no version", `{"event":"SecretChanged"}`, notify.Message{}, "notify: version is 0 or missing, want that of the change"},
		{"negative version", `{"event":"SecretChanged","version":-1}`, notify.Message{}, "notify: json: "},
		{"empty", ``, notify.Message{}, "notify: "},
		{"rubbish", `hello`, notify.Message{}, "notify: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := notify.Parse(tt.payload)
			assert.Equal(t, tt.want, got)
			if tt.err == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tt.err)
			}
		})
	}
}

func newClient(t *testing.T, server string) *redis.Client {
	client, err := notify.NewClient(server)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// The URL's user, password and database are used, and not shown in errors.
func TestNewClient(t *testing.T) {
	server := miniredis.RunT(t)
	server.RequireUserAuth("iam", "the password")
	assert.NoError(t, newClient(t, "redis://iam:the%20password@"+server.Addr()+"/2").Set(t.Context(), "key", "value", 0).Err())
	value, err := server.DB(2).Get("key")
	assert.NoError(t, err)
	assert.Equal(t, "value", value)
	assert.Error(t, newClient(t, "redis://iam:wrong@"+server.Addr()).Ping(t.Context()).Err())
	assert.Error(t, newClient(t, "rediss://iam:wrong@"+server.Addr()).Ping(t.Context()).Err(), "it has no TLS")
	for _, bad := range []string{"localhost", "http://iam:s3cret@localhost:6379", "redis://iam:s3cret@localhost:x", "redis://iam:s3cret@localhost:6379/zero", "redis://iam:s3cret%@localhost:6379"} {
		_, err := notify.NewClient(bad)
		require.Error(t, err, bad)
		assert.NotContains(t, err.Error(), "s3cret")
		assert.Contains(t, err.Error(), "want ")
	}
}

// What is published arrives in the form that is documented, also if the request that it belongs to
// has ended.
func TestPublish(t *testing.T) {
	server := miniredis.RunT(t)
	client := newClient(t, server.Addr())
	subscription := client.Subscribe(t.Context(), notify.Channel)
	defer subscription.Close()
	_, err := subscription.Receive(t.Context())
	require.NoError(t, err)
	ctx, err := reqid.NewContext(t.Context(), "of-the-request")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	require.NoError(t, notify.NewPublisher(client, notify.Channel).Publish(ctx, notify.PolicyChanged, 42))
	m, err := subscription.ReceiveMessage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "iam.cluster.notifications", m.Channel)
	assert.Equal(t, `{"event":"PolicyChanged","version":42,"requestID":"of-the-request"}`, m.Payload)
}

// A server that accepts connections and says nothing does not hold a request for ever.
func TestPublishGivesUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	client := newClient(t, silent.Addr().String())
	ended := make(chan error, 1)
	go func() {
		ended <- notify.NewPublisher(client, notify.Channel).Publish(context.Background(), notify.SecretChanged, 7)
	}()
	select {
	case err := <-ended:
		assert.ErrorContains(t, err, "notify: publish SecretChanged 7: ")
	case <-time.After(soon):
		t.Fatal("Publish does not return")
	}
}

// A listener is a Subscriber whose calls are sent on channels.
type listener struct {
	subscribed chan struct{}
	messages   chan notify.Message
	stop       func() error // and wait
}

// listen starts a Subscriber. With a short ping a machine that stands still makes it connect again.
func listen(t *testing.T, addr string, ping time.Duration) *listener {
	l := &listener{subscribed: make(chan struct{}, 100), messages: make(chan notify.Message, 100)}
	client, err := notify.NewClient(addr)
	require.NoError(t, err)
	s := &notify.Subscriber{
		Client: client, Channel: notify.Channel, Log: slog.New(slog.DiscardHandler), Ping: ping, MaxBackoff: 100 * time.Millisecond,
		OnSubscribed: func() { l.subscribed <- struct{}{} },
		OnMessage:    func(m notify.Message) { l.messages <- m },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	l.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		assert.NoError(t, l.stop())
		assert.NoError(t, client.Close())
	})
	return l
}

func next[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(soon):
		t.Fatal("nothing came")
	}
	return v
}

func TestSubscriber(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	l := listen(t, server.Addr(), soon)
	next(t, l.subscribed)
	for _, payload := range []string{`rubbish`, `{"event":"GroupChanged","version":1}`, `{"event":"SecretChanged","version":1}`, `{"event":"PolicyChanged","version":2}`} {
		server.Publish(notify.Channel, payload)
	}
	server.Publish("another channel", `{"event":"SecretChanged","version":9}`)
	assert.Equal(t, notify.Message{Event: notify.SecretChanged, Version: 1}, next(t, l.messages))
	assert.Equal(t, notify.Message{Event: notify.PolicyChanged, Version: 2}, next(t, l.messages))
	for range 3 {
		server.Close()
		require.NoError(t, server.Restart())
		next(t, l.subscribed)
		server.Publish(notify.Channel, `{"event":"SecretChanged","version":3}`)
		assert.Equal(t, notify.Message{Event: notify.SecretChanged, Version: 3}, next(t, l.messages))
	}
	assert.NoError(t, l.stop())
	assert.Empty(t, l.messages)
}

// A connection on which nothing arrives any more, with nobody saying so, is given up.
func TestSubscriberNoticesSilence(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	swallow := newSwallower(t, server.Addr())
	l := listen(t, swallow.addr, 200*time.Millisecond)
	next(t, l.subscribed)
	swallow.cut()
	next(t, l.subscribed)
	require.Eventually(t, func() bool {
		server.Publish(notify.Channel, `{"event":"SecretChanged","version":3}`)
		return len(l.messages) > 0
	}, soon, 10*time.Millisecond)
}

// Connections that are lost as soon as they are there are made less and less often.
func TestSubscriberBacksOffFromFlapping(t *testing.T) {
	t.Parallel()
	var conn net.Conn // the last one; all is done in the goroutine of Run
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var err error
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return conn, err
	}})
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const maxBackoff = 640 * time.Millisecond
	var subscribed []time.Time
	s := &notify.Subscriber{Client: client, Channel: notify.Channel, Log: slog.New(slog.DiscardHandler), Ping: soon, MaxBackoff: maxBackoff, OnSubscribed: func() {
		_ = conn.Close()
		if subscribed = append(subscribed, time.Now()); len(subscribed) == 8 {
			cancel()
		}
	}}
	require.NoError(t, s.Run(ctx))
	require.Len(t, subscribed, 8)
	// The half, at least, of 20ms, 40ms, … 640ms, 640ms. A slow machine takes longer.
	assert.GreaterOrEqual(t, subscribed[7].Sub(subscribed[0]), maxBackoff)
}

// A silent connection that answers pings is kept.
func TestSubscriberKeepsAQuietConnection(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	l := listen(t, server.Addr(), 2*time.Second)
	next(t, l.subscribed)
	before := server.TotalConnectionCount()
	commands := server.CommandCount()
	require.Eventually(t, func() bool { return server.CommandCount() >= commands+2 }, soon, time.Millisecond, "pings")
	assert.Equal(t, before, server.TotalConnectionCount())
	assert.Empty(t, l.subscribed)
}

// Run ends with its context, whether there is a server, none, or one that does not answer.
func TestSubscriberEnds(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	gone := miniredis.RunT(t)
	addr := gone.Addr()
	gone.Close()
	for name, addr := range map[string]string{"connected": miniredis.RunT(t).Addr(), "none": addr, "silent": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, addr, soon)
			if name == "connected" {
				next(t, l.subscribed)
			}
			ended := make(chan error, 1)
			go func() { ended <- l.stop() }()
			assert.NoError(t, next(t, ended))
		})
	}
}

// A swallower is a proxy that, once cut, swallows what its connections of that time carry; new ones
// work.
type swallower struct {
	addr string
	mu   sync.Mutex
	cuts int
}

func newSwallower(t *testing.T, server string) *swallower {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &swallower{addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", server)
			if err != nil {
				_ = down.Close()
				return
			}
			generation := s.generation()
			pipe := func(to, from net.Conn) {
				_, _ = io.Copy(writerFunc(func(p []byte) (int, error) {
					if s.generation() != generation {
						return len(p), nil
					}
					return to.Write(p)
				}), from)
				_, _ = to.Close(), from.Close()
			}
			go pipe(up, down)
			go pipe(down, up)
		}
	}()
	return s
}

func (s *swallower) generation() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cuts
}

func (s *swallower) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts++
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
