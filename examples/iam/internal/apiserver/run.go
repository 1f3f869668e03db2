// Package apiserver is the control plane: it owns the users, secrets and policies, serves the API
// that manages them, feeds the authzservers, and tells them when something has changed.
package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gracekit/gracekit/examples/ginserver/admin"
	"github.com/gracekit/gracekit/examples/ginserver/metrics"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/shutdown"
)

// Run serves until ctx ends, then stops in order, first the listeners and last the database, and
// returns the errors of that.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.Validate(); err != nil {
		return err
	}
	certificate, err := loadCertificate(o.TLSCert, o.TLSKey)
	if err != nil {
		return err
	}
	// Listening comes first: if a port is in use there is nothing to undo. The servers close the
	// listeners, if it ever comes to serving.
	api, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	defer api.Close()
	var private net.Listener
	if o.AdminAddr != "" {
		if private, err = admin.Listen(o.AdminAddr); err != nil {
			return err
		}
		defer private.Close()
	}
	feed, err := listenFeed(o)
	if err != nil {
		return err
	}
	defer feed.Close()
	o.Log = o.Log.With("server", "api "+api.Addr().String())

	db, err := store.Open(ctx, o.DB, o.InstanceIDKey)
	if err != nil {
		return err
	}
	client, err := notify.NewClient(o.Redis)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	db.Secrets.Quota = store.Quota{Objects: int64(o.MaxSecrets)}
	db.Policies.Quota = store.Quota{Objects: int64(o.MaxPolicies), Column: "document", Length: int64(o.MaxPolicyLength)}
	started := false
	defer func() {
		if !started { // afterwards they are closed when nobody uses them any more
			err = errors.Join(err, client.Close(), db.Close())
		}
	}()
	services, err := newServices(ctx, o, db, client)
	if err != nil {
		return err
	}

	gs := shutdown.New(shutdown.Grace(o.Grace), shutdown.Delay(o.Delay), shutdown.Logger(o.Log))
	checks, err := newChecks(db, client)
	if err != nil {
		return err
	}
	checks.DrainOn(gs.Draining()) // /readyz is 503 from the first moment of a stop
	measured := metrics.New(gs.Draining())
	measured.Register(metrics.Health(checks))
	handler, err := newHandler(o, services, checks, measured)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           handler,
		TLSConfig:         certificate,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       requestTimeout + 5*time.Second,  // of the body, whose reading no context ends
		WriteTimeout:      requestTimeout + 10*time.Second, // or who does not take the answer would keep it in memory for ever
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10, // 1 MiB without it
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	feedServer := newFeedServer(db, o, certificate)

	// What one of these refuses comes out of Run, which closes database and redis in any case.
	gs.AddCallback(shutdown.Closer("database", db), shutdown.Closer("redis", client))
	gs.GoHTTP("api", srv, api)
	gs.GoGRPC("feed", feedServer, feed)
	if private != nil {
		admin.Serve(gs, private, checks, measured.Handler(), srv.ErrorLog)
		o.Log.Info("for operators", "url", "http://"+private.Addr().String())
	}
	gs.Go("checks", checks.Run)
	gs.Go("announce", func(ctx context.Context) error { return announce(ctx, o, api, feed) })
	started = true
	err = gs.Run(ctx)
	if o.Report != nil {
		fmt.Fprint(o.Report, gs.Report())
	}
	return err
}

func newServices(ctx context.Context, o Options, db *store.Store, client *redis.Client) (services service.Services, err error) {
	services = service.New(service.Config{
		Store: db, Publisher: notify.NewPublisher(client, o.Channel), Log: o.Log,
		LoginKey: o.LoginKey, LoginTTL: o.LoginTTL, BcryptCost: o.BcryptCost,
		CountLimit: 8, CountTimeout: 5 * time.Second, CountByGroup: o.CountByGroup,
	})
	created, err := services.Users.EnsureAdmin(ctx, o.AdminPassword)
	if err != nil {
		return services, fmt.Errorf("creating the user %s: %w", service.AdminName, err)
	}
	if created && o.OnFirstStart != nil {
		o.OnFirstStart()
	}
	return services, nil
}

// newChecks: without the database nothing can be answered. Without Redis everything can, and the
// authzservers are a little late.
func newChecks(db *store.Store, client *redis.Client) (*health.Registry, error) {
	return health.New(
		health.Check{Name: "database", Kind: health.Ready | health.Startup, Probe: health.Ping(db), Period: 5 * time.Second},
		health.Check{Name: "redis", Kind: health.Ready, Optional: true, Period: 5 * time.Second, Probe: func(ctx context.Context) error {
			return client.Ping(ctx).Err()
		}},
	)
}

// loadCertificate returns nil, which is no TLS, if both files are empty.
func loadCertificate(cert, key string) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

const readyWithin = 30 * time.Second

// announce waits until the server answers its own /readyz, as a balancer would ask it, and only
// then says that it is up.
func announce(ctx context.Context, o Options, api, feed net.Listener) error {
	waitCtx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	begin := time.Now()
	scheme, spoken := "http://", health.HTTPOption(nil)
	if o.TLSCert != "" { // of which it is no matter here for what name it is
		scheme, spoken = "https://", health.TLS(&tls.Config{InsecureSkipVerify: true})
	}
	if err := health.Wait(waitCtx, health.Listener(api, "/readyz", spoken)); err != nil {
		if ctx.Err() != nil {
			return nil // the service stops before it was up; the report says why
		}
		return err
	}
	o.Log.Info("ready", "url", scheme+api.Addr().String(), "feed", feed.Addr().String(),
		"ready_after", time.Since(begin).Round(100*time.Microsecond), "pid", os.Getpid())
	if o.OnReady != nil {
		o.OnReady(api.Addr().String(), feed.Addr().String())
	}
	return nil
}
