// Package authzserver answers whether a subject may do something, from secrets and policies that it keeps in memory.
//
// It holds a copy of what the apiserver's database has, and keeps that copy equal to it: [Run] loads everything at the start, after
// each message that something has changed, after each new connection to Redis, and every Options.Reload. While it holds a copy it
// answers, whether the apiserver and Redis are there or not.
package authzserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/shutdown"
)

// Run serves until ctx ends, then stops in order, and returns the errors of that. It may run several times in one process.
func Run(ctx context.Context, opts Options) error {
	if err := opts.validate(); err != nil {
		return err
	}
	// Listening comes first and by itself: if the port is in use there is nothing to undo.
	listener, err := opts.Listener, error(nil)
	if listener == nil {
		listener, err = net.Listen("tcp", opts.Addr)
	}
	if err != nil {
		return err
	}
	log := opts.Log.With("server", "authz "+listener.Addr().String())
	feed, err := dialFeed(opts.Feed, opts.FeedToken)
	if err != nil {
		return errors.Join(fmt.Errorf("feed: %w", err), listener.Close())
	}
	redis := notify.NewClient(opts.Redis)

	cache := newCache(log)
	secrets := newLoader("secrets", feed.loadSecrets(cache), cache.secrets.version, opts.Reload, log)
	policies := newLoader("policies", feed.loadPolicies(cache), cache.policies.version, opts.Reload, log)
	subscriber := newSubscriber(redis, secrets, policies, opts.Debounce, log)

	checks, err := newChecks(cache, redis, secrets, policies)
	if err != nil {
		return errors.Join(err, listener.Close(), redis.Close(), feed.Close())
	}
	srv, err := newServer(cache, checks, log)
	if err != nil {
		return errors.Join(err, listener.Close(), redis.Close(), feed.Close())
	}

	gs := shutdown.New(shutdown.Grace(opts.Grace), shutdown.Delay(opts.Delay), shutdown.Logger(log))
	checks.DrainOn(gs.Draining()) // /readyz is 503 from the first moment of a shutdown
	// What one of these refuses comes out of Run.
	gs.GoHTTP("http", srv, listener)
	// In the phase of work, when no request is left: these keep the cache up to date until then.
	gs.Go("load secrets", secrets.run)
	gs.Go("load policies", policies.run)
	gs.Go("subscribe", subscriber.Run)
	gs.Go("checks", checks.Run)
	gs.Go("announce", func(ctx context.Context) error {
		return announce(ctx, log, listener, opts.OnReady)
	})
	// In the phase of stores, when nobody uses these any more.
	gs.AddCallback(shutdown.Closer("redis", redis), shutdown.Closer("feed", feed))
	return gs.Run(ctx)
}

func newServer(cache *cache, checks *health.Registry, log *slog.Logger) (*http.Server, error) {
	handler, err := newHandler(cache, checks, log)
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

// announce waits until this server answers its own /readyz, as a balancer would ask it, and only then says that it is up. There is
// no limit to that: without an apiserver it waits, and says so in /readyz and the log.
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
