package health_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
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
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a deadline is shared by the candidates
			defer cancel()
			assert.NoError(t, health.TCP(tt.addr)(ctx))
		})
	}
}

func TestTCPFailures(t *testing.T) {
	closed := closedAddr(t)
	_, port, _ := net.SplitHostPort(closed)

	err := health.TCP(closed)(t.Context())
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
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
	err := health.Wait(ctx, func(context.Context) error { cancel(); panic(value) },
		health.OnAttempt(func(a health.Attempt) { got = append(got, a.Err) }))
	require.ErrorIs(t, err, value)
	require.Len(t, got, 1)
	for range 3 {
		assert.True(t, strings.HasPrefix(got[0].Error(), "panic: call 1\n\ngoroutine "), got[0].Error())
	}
	assert.Equal(t, 1, value.calls)
}

// goroutineLabels returns the pprof labels of the goroutines as a goroutine profile shows them.
func goroutineLabels(t *testing.T) string {
	t.Helper()
	var profile bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	return profile.String()
}

// A probe that hangs is found in a goroutine profile by the name of its check.
func TestProbesAreLabelled(t *testing.T) {
	release := make(chan struct{})
	running := make(chan struct{})
	probe := func(context.Context) error { running <- struct{}{}; <-release; return nil }
	start(t, newRegistry(t, health.Check{Name: "mysql", Probe: probe}))
	<-running
	waited := make(chan error)
	go func() { waited <- health.Wait(t.Context(), probe) }()
	<-running
	labels := goroutineLabels(t)
	close(release)
	assert.NoError(t, <-waited)
	assert.Contains(t, labels, `"gracekit":"health/mysql"`)
	assert.Contains(t, labels, `"gracekit":"health/wait"`)
}
