// Package health answers two questions about a service: is it up yet, and is it still well?
//
// [Wait] is for whoever has to wait: a program that has just started its own listener, a test that
// started a container, a deploy script. It calls a [Probe] until it succeeds, so often that the wait
// ends within a tenth of the start-up time, and says exactly why if it gives up.
//
// A [Registry] is for whoever is asked: it runs named checks in the background and serves what they
// found as /livez, /readyz and /startupz, as text, JSON, or a status page for a browser.
//
// # Which probe
//
//	HTTP(url)          a URL answers 200–299
//	Listener(l, path)  your own net.Listener answers: port 0, wildcard addresses, unix sockets
//	TCP(addr)          something accepts connections
//	Ping(db)           *sql.DB and everything else with PingContext
//	func(ctx) error    all the rest: any function is a Probe
//
// # Which endpoint
//
//	Live     /livez     restart me if this fails: only what a restart would mend (a deadlock, not a lost database)
//	Ready    /readyz    send me no requests while this fails: what a request needs; fails while draining
//	Startup  /startupz  ask the other two only once this has passed: caches filled, migrations done
//
// # Waiting for your own server
//
// The listener exists before the wait begins, so there is no race for the port, and the server's own
// error ends the wait at once instead of being hidden behind "connection refused":
//
//	l, err := net.Listen("tcp", ":8080")
//	…
//	ctx, stop := context.WithTimeout(ctx, time.Minute) // Wait has no other limit
//	defer stop()
//	ctx, died := context.WithCancelCause(ctx)
//	go func() { died(srv.Serve(l)) }()
//	err = health.Wait(ctx, health.Listener(l, "/readyz"))
//
// # How it ends
//
// Wait leaves nothing behind but a probe that ignores its context. What a Registry has started ends with the context of
// [Registry.Run]; call [Registry.Drain] when the service begins to stop, or [Registry.DrainOn] before.
//
// # When not to use it
//
// For a gRPC health service use google.golang.org/grpc/health, fed from [Registry.OnChange]. For
// retrying an operation, rather than waiting for something to come up, use a backoff library: the
// delays of Wait grow with the time waited, but never beyond 100ms, and know no jitter.
package health
