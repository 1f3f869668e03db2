// Package authzserver answers whether a subject may do something, from secrets and policies that it
// keeps in memory.
//
// It holds a copy of what the apiserver's database has, and keeps that copy equal to it: [Run] asks
// what has changed at the start, after each message that something has, after each new connection
// to Redis, and every Options.Poll. It answers for as long as the copy is not older than
// Options.MaxStale, whether the apiserver and Redis are there or not.
package authzserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/gracekit/gracekit/examples/ginserver/admin"
	"github.com/gracekit/gracekit/examples/ginserver/metrics"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/shutdown"
)

// Run serves until ctx ends, then stops in order, and returns the errors of that. It may run
// several times in one process.
func Run(ctx context.Context, opts Options) (err error) {
	if err := opts.validate(); err != nil {
		return err
	}
	// Listening comes first and by itself: if the port is in use there is nothing to undo.
	listener := opts.Listener
	if listener == nil {
		listener, err = net.Listen("tcp", opts.Addr)
	}
	if err != nil {
		return err
	}
	log := opts.Log.With("server", "authz "+listener.Addr().String())
	var undo closers // until it comes to serving
	defer func() { err = errors.Join(err, undo.Close()) }()
	undo.add(listener)
	var private net.Listener
	if opts.AdminAddr != "" {
		if private, err = admin.Listen(opts.AdminAddr); err != nil {
			return err
		}
		undo.add(private)
	}
	redis, err := notify.NewClient(opts.Redis)
	if err != nil {
		return err
	}
	undo.add(redis)
	feed, err := dialFeed(opts.Feeds, opts.FeedCA, opts.FeedToken, log)
	if err != nil {
		return err
	}
	undo.add(feed)

	cache := newCache(log)
	loader := newLoader(feed, cache, opts.Poll, opts.Debounce, log)
	subscriber := newSubscriber(redis, opts.Channel, loader, log)
	authz := &authorizer{cache: cache, maxStale: opts.MaxStale, tokens: newVerifier()}
	if opts.Decisions != nil {
		authz.decisions = newRecorder(opts.Decisions, log)
	}
	checks, err := newChecks(cache, redis, loader, opts.MaxStale)
	if err != nil {
		return err
	}
	gs := shutdown.New(shutdown.Grace(opts.Grace), shutdown.Delay(opts.Delay), shutdown.Logger(log))
	measured := newMetrics(gs.Draining(), authz, checks)
	srv, err := newServer(authz, checks, measured, log)
	if err != nil {
		return err
	}
	undo = nil

	checks.DrainOn(gs.Draining()) // /readyz is 503 from the first moment of a shutdown
	// What one of these refuses comes out of Run.
	gs.GoHTTP("http", srv, listener)
	// In the phase of work, when no request is left: these keep the cache up to date until then.
	gs.Go("load", loader.run)
	gs.Go("subscribe", subscriber.Run)
	gs.Go("checks", checks.Run)
	gs.Go("announce", func(ctx context.Context) error {
		return announce(ctx, log, listener, opts.OnReady)
	})
	// In the phase of stores, when nobody uses these any more.
	gs.AddCallback(shutdown.Closer("redis", redis), shutdown.Closer("feed", feed))
	// In the phase of flushing, when no decision is made any more.
	if authz.decisions != nil {
		go authz.decisions.run() // until it is flushed
		gs.AddCallback(shutdown.Callback{Name: "decisions", Phase: shutdown.PhaseFlush, Func: authz.decisions.flush})
	}
	if private != nil {
		admin.Serve(gs, private, checks, measured.Handler(), srv.ErrorLog)
		log.Info("for operators", "url", "http://"+private.Addr().String())
	}
	return gs.Run(ctx)
}

// closers are closed in the opposite order.
type closers []io.Closer

func (c *closers) add(closer io.Closer) { *c = append(*c, closer) }

func (c closers) Close() error {
	var errs []error
	for _, closer := range slices.Backward(c) {
		errs = append(errs, closer.Close())
	}
	return errors.Join(errs...)
}

func newServer(authz *authorizer, checks *health.Registry, measured *metrics.Metrics, log *slog.Logger) (*http.Server, error) {
	handler, err := newHandler(authz, checks, measured, log)
	if err != nil {
		return nil, err
	}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10, // a token has less than one
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}, nil
}

// announce waits until this server answers its own /readyz, as a balancer would ask it, and only
// then says that it is up. There is no limit to that: without an apiserver it waits, and says so in
// /readyz and the log.
func announce(ctx context.Context, log *slog.Logger, listener net.Listener, onReady func(addr string)) error {
	begin := time.Now()
	if err := health.Wait(ctx, health.Listener(listener, "/readyz")); err != nil {
		if ctx.Err() != nil {
			return nil // the service stops before it was up
		}
		return err
	}
	addr := listener.Addr().String()
	log.Info("ready", "url", "http://"+addr+"/v1/authz", "ready_after", time.Since(begin).Round(100*time.Microsecond))
	if onReady != nil {
		onReady(addr)
	}
	return nil
}
