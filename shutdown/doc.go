// Package shutdown is the one place that knows how a service stops: something asks, and everything that
// was registered answers in order, within a bounded time, so that nothing in flight is lost.
//
//	gs := shutdown.New(shutdown.Grace(25*time.Second), shutdown.Delay(5*time.Second))
//	gs.AddManager(posixsignal.New())             // who may ask: SIGINT, SIGTERM
//	gs.AddHTTPServer("api", srv)                 // drained first; added before srv.Serve is called
//	gs.AddCallback(shutdown.Closer("mysql", db)) // closed when nothing needs it any more
//	gs.Go("http", func(context.Context) error { return srv.ListenAndServe() })
//	if err := gs.Run(ctx); err != nil { … }      // starts, waits, stops; main's own defers still run
//
// Each of these calls returns an error, which the example looks at.
//
// Its nearest relatives are a chain of defers and [net/http.Server.Shutdown]; both are enough for a program with one server and
// nothing that tells it to stop from outside. It is not a framework: it owns neither main nor the servers.
//
// # What asks
//
//	posixsignal.New       SIGINT and SIGTERM; the second forces
//	Run's or Start's ctx  its end
//	ContextDone           the end of another context
//	Poll                  a cloud provider's notice, a file, a lost lease
//	Go                    a component that fails
//	Shutdown              the program itself
//
// # The order of a stop
//
//  1. The first request is the trigger: its reason is kept, later ones do nothing. [GracefulShutdown.Draining] is closed,
//     and the managers' ShutdownStart hooks run.
//  2. When these have returned, the service goes on accepting and serving for [Delay], because a load balancer that has not noticed yet still opens
//     connections. From the trigger on, each HTTP response says "Connection: close" (HTTP/2: GOAWAY), so that clients leave
//     one by one; on HTTP/2 each connection is told in a quiet moment of its own, see [GracefulShutdown.AddHTTPServer]. After Delay,
//     a listening socket that another process has, too, is left to that process ([GracefulShutdown.HoldListener]), and connections that
//     are still there get [Linger] to make their last request: closing one in the moment its client uses it loses that request.
//  3. The phases run in ascending order, the callbacks of one phase at the same time. An error, a panic or a timeout
//     never keeps a later phase from running. With [PhaseWork], [GracefulShutdown.Context] ends.
//  4. The managers' ShutdownFinish hooks get the [Report], and Wait and Run return.
//
// # How long it takes
//
// [Grace] is the total for all of this, Delay and Linger included. When it has run out, the phases that have not begun
// yet share [Tail], so that logs are flushed even after a hang. Nothing takes longer than Grace+Tail, whatever callbacks, hooks,
// handlers or loggers do: what does not return is abandoned, named in the report, and its stack is kept. A [Callback] can be given less.
//
// On Kubernetes, set terminationGracePeriodSeconds above Grace+Tail: the defaults, 25s and 2s, fit into its default of 30.
// Use Delay or a preStop sleep, not both.
package shutdown
