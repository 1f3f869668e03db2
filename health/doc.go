// Package health answers two questions about a service: is it up yet, and is it still healthy?
//
// [Wait] is for those who have to wait: a program that has just started its own listener, a test
// that has started a container, a deploy script. It calls a [Probe] until it succeeds, so often
// that the wait ends within a tenth of the start-up time, and says exactly why if it gives up.
//
// A [Registry] runs named checks in the background and serves their results as /livez, /readyz and
// /startupz: as text, as JSON, or as a status page for a browser.
//
// # Which probe
//
//	HTTP(url)          a URL answers 200–299
//	Listener(l, path)  your own net.Listener answers: port 0, wildcard addresses, unix sockets
//	TCP(addr)          something accepts connections
//	DB(db)             a *sql.DB has its database, even if its pool is busy
//	Ping(p)            everything else with PingContext
//	func(ctx) error    anything else: every such function is a Probe
//
// # Which endpoint
//
//	Live     /livez     restart me if this fails: only what a restart would mend, such as a
//	                    deadlock; never another service or the database
//	Ready    /readyz    send me no requests while this fails: everything that a request needs;
//	                    fails while draining
//	Startup  /startupz  ask the other two only after this has passed: caches filled, migrations done
//
// # Waiting for your own server
//
// The listener exists before the wait begins, so there is no race for the port, and the server's
// own error ends the wait at once instead of being hidden behind "connection refused":
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
// Wait leaves nothing behind, except a probe that ignores its context. Everything that a Registry
// has started ends with the context of [Registry.Run]; call [Registry.Drain] when the service
// begins to stop, or [Registry.DrainOn] before.
//
// # User code
//
// Probes, and the methods of the errors that they return, are called in goroutines of their own,
// without a lock, and abandoned when their time is up. A panic becomes a [PanicError].
//
// # When not to use it
//
// For a gRPC health service use google.golang.org/grpc/health, fed from [Registry.OnChange]. To
// retry an operation, rather than wait for something to come up, use a backoff library: the pauses
// of Wait never exceed 50ms and have no jitter.
package health
