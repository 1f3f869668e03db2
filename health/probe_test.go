package health_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

func TestTCP(t *testing.T) {
	v4 := listen(t, "tcp4", "127.0.0.1:0")
	_, v4Port, _ := net.SplitHostPort(v4.Addr().String())
	path := socketPath(t)

	type test struct{ name, addr string }
	tests := []test{
		{"address", v4.Addr().String()},
		{"no host", ":" + v4Port},
		{"wildcard", "0.0.0.0:" + v4Port},
		{"IPv6 wildcard of an IPv4 listener", "[::]:" + v4Port},
	}
	if runtime.GOOS != "windows" {
		listen(t, "unix", path)
		tests = append(tests, test{"unix socket", path}, test{"unix socket with prefix", "unix:" + path})
	}
	if v6, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		defer v6.Close()
		_, port, _ := net.SplitHostPort(v6.Addr().String())
		tests = append(tests, test{"wildcard of an IPv6-only listener", ":" + port})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.NoError(t, health.TCP(tt.addr)(t.Context()))
			// a deadline is shared by the candidates
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			assert.NoError(t, health.TCP(tt.addr)(ctx))
		})
	}
}

func TestTCPFailures(t *testing.T) {
	closed := closedAddr(t)
	_, port, _ := net.SplitHostPort(closed)

	err := health.TCP(closed)(t.Context())
	assert.ErrorIs(t, err, refused())
	assert.ErrorContains(t, err, closed)
	assert.NotErrorIs(t, err, health.ErrPermanent)

	err = health.TCP(":" + port)(t.Context())
	assert.ErrorContains(t, err, "127.0.0.1:"+port, "both attempts are reported")
	assert.ErrorContains(t, err, "[::1]:"+port)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Error(t, health.TCP(":"+port)(ended))

	err = health.TCP("localhost")(t.Context())
	assert.ErrorIs(t, err, health.ErrPermanent)
	assert.EqualError(t, err, `health: TCP("localhost"): expected host:port: missing port in address`)
}

type pinger struct{ err error }

func (p *pinger) PingContext(context.Context) error { return p.err }

func TestPing(t *testing.T) {
	assert.NoError(t, health.Ping(&pinger{})(t.Context()))
	assert.Equal(t, errBad, health.Ping(&pinger{errBad})(t.Context()))

	err := health.Ping(nil)(t.Context())
	assert.ErrorIs(t, err, health.ErrPermanent)

	var typedNil *pinger
	err = health.Ping(typedNil)(t.Context())
	assert.ErrorIs(t, err, health.ErrPermanent)
	assert.EqualError(t, err, "health: Ping(*health_test.pinger(nil)): expected something to ping")
}

func TestPermanent(t *testing.T) {
	assert.NoError(t, health.Permanent(nil))

	err := health.Permanent(&net.DNSError{Err: "gone", Name: "db"})
	assert.ErrorIs(t, err, health.ErrPermanent)
	assert.NotErrorIs(t, err, health.ErrTimeout)
	assert.EqualError(t, err, "lookup db: gone")
	dnsErr, ok := errors.AsType[*net.DNSError](err)
	require.True(t, ok)
	assert.Equal(t, "db", dnsErr.Name)
}

func TestErrTimeoutIsDeadlineExceeded(t *testing.T) {
	assert.ErrorIs(t, health.ErrTimeout, context.DeadlineExceeded)
	assert.NotErrorIs(t, health.ErrTimeout, context.Canceled)
	assert.NotErrorIs(t, context.DeadlineExceeded, health.ErrTimeout)
	netErr, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](health.ErrTimeout)
	require.True(t, ok)
	assert.True(t, netErr.Timeout())
}

func TestPanicError(t *testing.T) {
	err := &health.PanicError{Value: io.EOF, Stack: []byte("goroutine 1 [running]:")}
	assert.EqualError(t, err, "panic: EOF\n\ngoroutine 1 [running]:")
	assert.ErrorIs(t, err, io.EOF)
	assert.NoError(t, (&health.PanicError{Value: "no error"}).Unwrap())
	assert.True(t, strings.HasPrefix((&health.PanicError{Value: 7}).Error(), "panic: 7\n\n"))
}

// textCounter is a value to panic with.
type textCounter struct{ calls int }

func (c *textCounter) Error() string { c.calls++; return fmt.Sprint("call ", c.calls) }

// The text of a panic is made once, where it happens: whoever prints the error later calls no
// method of a value that was in an unknown state then.
func TestPanicErrorKeepsItsText(t *testing.T) {
	value := new(textCounter)
	ctx, cancel := context.WithCancel(t.Context())
	var got []error
	err := health.Wait(ctx, func(context.Context) error { panic(value) },
		health.OnAttempt(func(a health.Attempt) { got = append(got, a.Err); cancel() }))
	require.ErrorIs(t, err, value)
	require.Len(t, got, 1)
	for range 3 {
		assert.True(t, strings.HasPrefix(got[0].Error(), "panic: call 1\n\ngoroutine "), got[0].Error())
	}
	assert.Equal(t, 1, value.calls)
}

// A probe that hangs is found in a goroutine profile by the name of its check.
func TestProbesAreLabelled(t *testing.T) {
	release := make(chan struct{})
	running := make(chan struct{})
	probe := func(context.Context) error { running <- struct{}{}; <-release; return nil }
	const never = time.Minute
	start(t, newRegistry(t, health.Check{Name: "mysql", Probe: probe, Timeout: never, Period: never}))
	<-running
	waited := make(chan error)
	go func() { waited <- health.Wait(t.Context(), probe, health.AttemptTimeout(never)) }()
	<-running
	labels := goroutineLabels(t)
	close(release)
	assert.NoError(t, <-waited)
	assert.Contains(t, labels, `"gracekit":"health/mysql"`)
	assert.Contains(t, labels, `"gracekit":"health/wait"`)
}

func TestDBPings(t *testing.T) {
	f := new(fakeDB)
	assert.NoError(t, health.DB(f.open(t, 0))(t.Context()))
	assert.EqualValues(t, 1, f.pings.Load())

	f.ping = func(context.Context) error { return errBad }
	assert.ErrorIs(t, health.DB(f.open(t, 0))(t.Context()), errBad)

	err := health.DB(nil)(t.Context())
	assert.ErrorIs(t, err, health.ErrPermanent)
	assert.EqualError(t, err, "health: DB(nil): expected a *sql.DB")
}

// Under load all replicas have busy pools: none of them must leave its balancer for that.
func TestDBThatIsBusyProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeDB)
		db := f.open(t, 1)
		r := newRegistry(t, health.Check{Name: "db", Probe: health.DB(db), Failures: 1, Successes: 2})
		busy, err := db.Conn(t.Context())
		require.NoError(t, err)
		start(t, r)
		time.Sleep(30 * time.Second)
		assert.Equal(t, health.Pending, state(r), "neither up nor down")
		assert.ErrorContains(t, r.Report(health.Ready).Checks[0].Last().Err,
			"all 1 connections of the pool are in use")
		require.NoError(t, busy.Close())
		time.Sleep(20 * time.Second)
		require.Equal(t, health.Up, state(r))

		busy, err = db.Conn(t.Context())
		require.NoError(t, err)
		time.Sleep(55 * time.Second)
		assert.Equal(t, health.Up, state(r))
		assert.ErrorIs(t, r.Report(health.Ready).Checks[0].Last().Err, health.ErrTimeout)
		time.Sleep(20 * time.Second)
		assert.Equal(t, health.Down, state(r), "but not for ever")

		require.NoError(t, busy.Close())
		time.Sleep(20 * time.Second)
		assert.Equal(t, health.Up, state(r))
		busy, err = db.Conn(t.Context())
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		assert.Equal(t, health.Up, state(r), "a success starts the time anew")
		require.NoError(t, busy.Close())
	})
}

func TestDBCountsEveryOtherFailure(t *testing.T) {
	refuse := func(context.Context) error { return errBad }
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name  string
		limit int
		ping  func(context.Context) error
	}{
		{"refused, pool without a limit", 0, refuse},
		{"refused, a connection is free", 2, refuse},
		{"timed out, pool without a limit", 0, hang},
		{"timed out, a connection is free", 2, hang},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeDB{ping: tt.ping}
				db := f.open(t, tt.limit)
				busy, err := db.Conn(t.Context())
				require.NoError(t, err)
				defer busy.Close()
				r := newRegistry(t, health.Check{Name: "db", Probe: health.DB(db), Failures: 1})
				start(t, r)
				time.Sleep(5 * time.Second)
				assert.Equal(t, health.Down, state(r))
			})
		})
	}
}

func TestDBThatIsBusyIsNoSuccessForWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := new(fakeDB).open(t, 1)
		busy, err := db.Conn(t.Context())
		require.NoError(t, err)
		time.AfterFunc(5*time.Second, func() { busy.Close() })
		begin := time.Now()
		assert.NoError(t, health.Wait(t.Context(), health.DB(db)))
		assert.GreaterOrEqual(t, time.Since(begin), 5*time.Second)
	})
}
