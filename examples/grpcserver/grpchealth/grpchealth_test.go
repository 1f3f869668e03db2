package grpchealth_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/grpcserver/grpchealth"
	"github.com/gracekit/gracekit/health"
)

const (
	serving    = grpc_health_v1.HealthCheckResponse_SERVING
	notServing = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	unknown    = grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
)

// A thing that is checked, and is up or not as a test likes.
type thing struct{ down atomic.Bool }

func (s *thing) probe(context.Context) error {
	if s.down.Load() {
		return errors.New("down")
	}
	return nil
}

// check makes the registry notice a change as soon as it can.
func (s *thing) check(name string, kind health.Kind) health.Check {
	return health.Check{Name: name, Kind: kind, Probe: s.probe, Period: 5 * time.Millisecond, Failures: 1}
}

func newRegistry(t *testing.T, checks ...health.Check) *health.Registry {
	t.Helper()
	registry, err := health.New(checks...)
	require.NoError(t, err)
	return registry
}

// run runs the registry until the end of the test.
func run(t *testing.T, registry *health.Registry) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- registry.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
}

// serve returns a client of the health service. The streams end with the returned function.
func serve(t *testing.T, registry *health.Registry, services ...grpchealth.Service) (_ *grpc.ClientConn, endStreams func()) {
	t.Helper()
	streams, endStreams := context.WithCancel(context.Background())
	t.Cleanup(endStreams)
	healthServer, err := grpchealth.New(registry, streams, services...)
	require.NoError(t, err)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, healthServer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn, endStreams
}

func check(t *testing.T, conn *grpc.ClientConn, service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
	t.Helper()
	resp, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
	require.NoError(t, err)
	return resp.GetStatus()
}

func watch(t *testing.T, conn *grpc.ClientConn, service string) func() (grpc_health_v1.HealthCheckResponse_ServingStatus, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // only a hang reaches it
	t.Cleanup(cancel)
	stream, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	require.NoError(t, err)
	return func() (grpc_health_v1.HealthCheckResponse_ServingStatus, error) {
		resp, err := stream.Recv()
		return resp.GetStatus(), err
	}
}

func TestStates(t *testing.T) {
	db, cache := new(thing), new(thing)
	registry := newRegistry(t, db.check("db", health.Ready), cache.check("cache", health.Ready),
		health.Check{Name: "loop", Kind: health.Live, Probe: new(thing).probe})
	draining := make(chan struct{})
	registry.DrainOn(draining)
	conn, _ := serve(t, registry,
		grpchealth.Service{Name: "orders", Checks: []string{"db"}},
		grpchealth.Service{Name: "livez", Kind: health.Live})
	states := func() map[string]bool {
		list, err := grpc_health_v1.NewHealthClient(conn).List(t.Context(), &grpc_health_v1.HealthListRequest{})
		require.NoError(t, err)
		got := make(map[string]bool)
		for name, resp := range list.GetStatuses() {
			got[name] = resp.GetStatus() == serving
		}
		return got
	}
	eventually := func(want map[string]bool) {
		require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, want, states()) }, 10*time.Second, time.Millisecond)
	}
	assert.Equal(t, map[string]bool{"": false, "orders": false, "livez": false}, states(), "before anything is known")
	run(t, registry)
	eventually(map[string]bool{"": true, "orders": true, "livez": true})
	cache.down.Store(true)
	eventually(map[string]bool{"": false, "orders": true, "livez": true})
	db.down.Store(true)
	eventually(map[string]bool{"": false, "orders": false, "livez": true})
	db.down.Store(false)
	cache.down.Store(false)
	eventually(map[string]bool{"": true, "orders": true, "livez": true})

	for _, name := range []string{"", "orders", "livez"} {
		assert.Equal(t, serving, check(t, conn, name), "Check and List say the same of %q", name)
	}
	close(draining)
	assert.Equal(t, notServing, check(t, conn, "orders"), "at once, whatever goroutine comes late")
	assert.Equal(t, map[string]bool{"": false, "orders": false, "livez": true}, states(), "at once, whatever goroutine comes late")
}

func TestWatch(t *testing.T) {
	db := new(thing)
	registry := newRegistry(t, db.check("db", health.Live|health.Ready))
	conn, _ := serve(t, registry, grpchealth.Service{Name: "livez", Kind: health.Live})
	next, nextLive := watch(t, conn, ""), watch(t, conn, "livez")
	expect := func(next func() (grpc_health_v1.HealthCheckResponse_ServingStatus, error), want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := next()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	expect(next, notServing)
	expect(nextLive, notServing)
	run(t, registry)
	for range 3 {
		expect(next, serving)
		expect(nextLive, serving)
		db.down.Store(true)
		expect(next, notServing)
		expect(nextLive, notServing)
		db.down.Store(false)
	}
	expect(next, serving)
	expect(nextLive, serving)
	registry.Drain()
	expect(next, notServing)
	db.down.Store(true)
	expect(nextLive, notServing) // the next thing it hears: draining was none of its business
}

// An OnChange function that hangs keeps all events back; yet the last thing that a client hears is
// that the server does not serve.
func TestWatchEndsWithTheLastState(t *testing.T) {
	tests := []struct {
		service string
		want    []grpc_health_v1.HealthCheckResponse_ServingStatus
	}{
		{"", []grpc_health_v1.HealthCheckResponse_ServingStatus{serving, notServing}},
		{"livez", []grpc_health_v1.HealthCheckResponse_ServingStatus{serving}},
		{"nothing", []grpc_health_v1.HealthCheckResponse_ServingStatus{unknown}},
	}
	for _, tt := range tests {
		t.Run(tt.service, func(t *testing.T) { // each with a server of its own, where nobody else causes an update
			registry := newRegistry(t)
			goOn := make(chan struct{})
			registry.OnChange(func(health.Event) { <-goOn })
			defer close(goOn)
			conn, endStreams := serve(t, registry, grpchealth.Service{Name: "livez", Kind: health.Live})
			next := watch(t, conn, tt.service)
			state, err := next()
			require.NoError(t, err)
			got := []grpc_health_v1.HealthCheckResponse_ServingStatus{state}
			registry.Drain()
			endStreams()
			for {
				if state, err = next(); err != nil {
					break
				}
				got = append(got, state)
			}
			assert.Equal(t, tt.want, got)
			assert.Equal(t, codes.Unavailable, status.Code(err))
			assert.ErrorContains(t, err, "the server stops")

			next = watch(t, conn, tt.service)
			last, err := next()
			require.NoError(t, err)
			assert.Equal(t, got[len(got)-1], last)
			_, err = next()
			assert.Equal(t, codes.Unavailable, status.Code(err), "a Watch that begins afterwards ends, too")
		})
	}
}

// The first answer after draining has begun is true, whatever is asked: no event has come, because
// an OnChange function hangs.
func TestFirstAnswerNeedsNoEvent(t *testing.T) {
	type state = grpc_health_v1.HealthCheckResponse_ServingStatus
	asks := map[string]func(*testing.T, *grpc.ClientConn) state{
		"Check": func(t *testing.T, conn *grpc.ClientConn) state { return check(t, conn, "") },
		"List": func(t *testing.T, conn *grpc.ClientConn) state {
			list, err := grpc_health_v1.NewHealthClient(conn).List(t.Context(), &grpc_health_v1.HealthListRequest{})
			require.NoError(t, err)
			return list.GetStatuses()[""].GetStatus()
		},
		"Watch": func(t *testing.T, conn *grpc.ClientConn) state {
			first, err := watch(t, conn, "")()
			require.NoError(t, err)
			return first
		},
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) { // each with a server of its own, where nobody else causes an update
			registry := newRegistry(t)
			goOn := make(chan struct{})
			registry.OnChange(func(health.Event) { <-goOn })
			defer close(goOn)
			conn, _ := serve(t, registry)
			registry.Drain()
			assert.Equal(t, notServing, ask(t, conn))
		})
	}
}

func TestWatchEndsWithItsClient(t *testing.T) {
	conn, _ := serve(t, newRegistry(t))
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	cancel()
	_, err = stream.Recv()
	assert.Equal(t, codes.Canceled, status.Code(err))
}

// Whatever comes at the same time as what, nobody is left with an old state.
func TestNoStateIsLeftBehind(t *testing.T) {
	db := new(thing)
	registry := newRegistry(t, db.check("db", health.Ready))
	conn, _ := serve(t, registry)
	run(t, registry)
	next := watch(t, conn, "")
	last := grpc_health_v1.HealthCheckResponse_ServingStatus(-1)
	for n := range 50 {
		db.down.Store(n%2 == 0)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { check(t, conn, "") })
		}
		wg.Wait()
	}
	registry.Drain()
	for last != notServing || check(t, conn, "") != notServing {
		var err error
		last, err = next()
		require.NoError(t, err)
	}
}

func TestProbe(t *testing.T) {
	registry := newRegistry(t)
	conn, _ := serve(t, registry)
	assert.NoError(t, grpchealth.Probe(conn, "")(t.Context()))
	assert.ErrorContains(t, grpchealth.Probe(conn, "nothing")(t.Context()), `service "nothing": rpc error: code = NotFound`)
	registry.Drain()
	assert.EqualError(t, grpchealth.Probe(conn, "")(t.Context()), `service "" is NOT_SERVING, want SERVING`)
}

func TestNewErrors(t *testing.T) {
	registry := newRegistry(t, new(thing).check("db", health.Ready))
	tests := []struct {
		name     string
		services []grpchealth.Service
		want     string
	}{
		{"twice", []grpchealth.Service{{Name: "a"}, {Name: "a"}}, `grpchealth: two services of the name "a"`},
		{"unknown check", []grpchealth.Service{{Name: "a", Checks: []string{"cache"}}}, `grpchealth: service "a": the registry has no ready check "cache"`},
		{"check of another kind", []grpchealth.Service{{Name: "a", Kind: health.Live, Checks: []string{"db"}}}, `grpchealth: service "a": the registry has no live check "db"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := grpchealth.New(registry, t.Context(), tt.services...)
			assert.EqualError(t, err, tt.want)
		})
	}
}
