// Package shutdown stops a service in order and within a bounded time, without losing requests in
// flight.
//
//	l, err := net.Listen("tcp", "127.0.0.1:8080")
//	if err != nil {
//		log.Fatal(err)
//	}
//	gs := shutdown.New(shutdown.Logger(slog.Default()))
//	gs.AddManager(posixsignal.New())                       // SIGINT and SIGTERM ask
//	gs.AddCallback(shutdown.Closer("mysql", db))           // closed after everything that uses it
//	gs.GoHTTP("api", &http.Server{Handler: handler}, l)    // serves from Run on, drained first
//	if err := gs.Run(ctx); err != nil {
//		log.Fatal(err)
//	}
//
// Run returns the errors of the Add… and Go… calls before it, so they need no checks of their own.
//
// Its nearest relatives are a chain of defers and [net/http.Server.Shutdown]. Both are enough for a
// program with one server that nothing stops from outside.
//
// # What requests a stop
//
//	posixsignal.New       SIGINT and SIGTERM; a second signal forces
//	Run's or Start's ctx  when it ends
//	ContextDone           when another context ends
//	preempt.AWS, …        a cloud takes the machine away
//	Poll                  a file, a lost lease, another platform's notice
//	Go, GoHTTP, GoGRPC    when a component or a server fails
//	Shutdown              the program itself
//
// # What is stopped
//
//	GoHTTP, GoGRPC                            a server that this package serves on a listener
//	AddHTTPServer, AddGRPCServer, AddServer   a server whose Serve is called elsewhere
//	Go                                        any other function that runs until it is stopped
//	AddCallback                               anything else: a function that the stop calls
//	Register                                  the same, but it can be removed before the stop
//
// # The order of a stop
//
//  1. The first request triggers the stop, and its reason is kept. A later request matters only if
//     it brings an earlier deadline ([Before]). [GracefulShutdown.Draining] is closed, and the
//     managers' ShutdownStart hooks run.
//  2. During [Delay] the service still accepts and serves, because a load balancer that has not
//     noticed yet still opens connections. Each HTTP/1 response says "Connection: close", so
//     clients leave one by one. HTTP/2 connections, which a proxy shares among its clients, are
//     told to leave after Delay.
//  3. GoHTTP and GoGRPC accept the connections in the queues of their listeners and close the
//     listeners. A socket shared with another process ([GracefulShutdown.HoldListener]) is left to
//     that process. Connections get [Linger] for a last request.
//  4. The phases run in ascending order, the callbacks of one phase at the same time. An error, a
//     panic or a timeout never keeps a later phase from running. [GracefulShutdown.Context] ends
//     when [PhaseWork] begins.
//  5. The managers' ShutdownFinish hooks get the [Report], and Wait and Run return.
//
// # How long it takes
//
// [Grace] limits all of this, Delay and Linger included. If it runs out, the phases that have not
// begun share [Tail], so that logs are flushed even after a hang. Whatever callbacks, hooks,
// handlers or loggers do, the stop never takes longer than Grace+Tail: a step that does not return
// is abandoned and reported, and its stack is kept. A [Callback] can be given less time, and so can
// a server ([DrainTimeout]).
//
// A panic in a callback, a component, a manager or an observer becomes a [*PanicError]. The methods
// of a user's errors, listeners and contexts are guarded, too.
//
// On Kubernetes, set terminationGracePeriodSeconds above Grace+Tail: the defaults, 25s and 2s, fit
// into its default of 30. Use Delay or a preStop sleep, not both.
package shutdown
