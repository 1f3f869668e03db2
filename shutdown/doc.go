// Package shutdown is the one place that knows how a service stops. Something asks, and everything
// that was added answers in order, within a bounded time, so that nothing in flight is lost.
//
//	l, err := net.Listen("tcp", "127.0.0.1:8080")
//	if err != nil {
//		log.Fatal(err)
//	}
//	gs := shutdown.New(shutdown.Logger(slog.Default()))
//	gs.AddManager(posixsignal.New())                       // SIGINT and SIGTERM ask
//	gs.AddCallback(shutdown.Closer("mysql", db))           // closed when nothing needs it any more
//	gs.GoHTTP("api", &http.Server{Handler: handler}, l)    // serves from Run on, drained first
//	if err := gs.Run(ctx); err != nil {
//		log.Fatal(err)
//	}
//
// What an Add… or Go… refuses comes out of Run, so the calls above need no check of their own.
//
// Its nearest relatives are a chain of defers and [net/http.Server.Shutdown]. Both are enough for a
// program with one server that nothing stops from outside. It is not a framework: it owns
// neither main nor the servers.
//
// # What asks
//
//	posixsignal.New       SIGINT and SIGTERM; the second forces
//	Run's or Start's ctx  its end
//	ContextDone           the end of another context
//	Poll                  a cloud provider's notice, a file, a lost lease
//	Go, GoHTTP, GoGRPC    a component or a server that fails
//	Shutdown              the program itself
//
// # What answers
//
//	GoHTTP, GoGRPC                            a server on a listener, in one row
//	AddHTTPServer, AddGRPCServer, AddServer   a server whose Serve is called elsewhere
//	Go                                        any other function that runs until it is stopped
//	AddCallback                               a function to call when the service stops
//	Register                                  the same, for what may go before
//
// # The order of a stop
//
//  1. The first request is the trigger: its reason is kept, later ones only matter if they bring an
//     earlier deadline ([Before]). [GracefulShutdown.Draining] is closed, and the managers'
//     ShutdownStart hooks run.
//  2. For [Delay] the service goes on accepting and serving, because a load balancer that has not
//     noticed yet still opens connections. Each HTTP/1 response says "Connection: close", so that
//     clients leave one by one; HTTP/2 connections, which a proxy shares among its clients, are told
//     after Delay. A listening socket that another process has, too, is then left to that process
//     ([GracefulShutdown.HoldListener]), and connections get [Linger] for a last request.
//  3. The phases run in ascending order, the callbacks of one phase at the same time. An error, a
//     panic or a timeout never keeps a later phase from running. [GracefulShutdown.Context] ends when
//     [PhaseWork] begins.
//  4. The managers' ShutdownFinish hooks get the [Report], and Wait and Run return.
//
// # How long it takes
//
// [Grace] is the total for all of this, Delay and Linger included. When it is over, the phases that
// have not begun share [Tail], so that logs are flushed even after a hang. The stop never takes
// longer than Grace+Tail, whatever callbacks, hooks, handlers or loggers do: what does not return
// is abandoned and has a row in the report, and its stack is kept. A [Callback] can be given less,
// and a server, too ([DrainTimeout]).
//
// Everything that a user hands over runs under guard: callbacks, and also the methods of errors,
// managers and listeners. A panic becomes a [*PanicError].
//
// On Kubernetes, set terminationGracePeriodSeconds above Grace+Tail: the defaults, 25s and 2s, fit
// into its default of 30. Use Delay or a preStop sleep, not both.
package shutdown
