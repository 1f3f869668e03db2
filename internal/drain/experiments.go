package drain

import "context"

// An experiment is one row of the verdict.
type experiment struct {
	name  string
	means string // what it is about, and what a fault costs
	mend  string // what to do about a fault
	long  bool   // it may take all of Grace, so -quick leaves it out
	waits bool   // what it does is to wait for an end, so it may run beside everything else
	run   func(context.Context, *program) (finding, error)
}

// An Entry is what [List] says of an experiment.
type Entry struct {
	Name        string // for Config.Only and Config.Skip
	Means, Mend string // as in a Row
	Quick       bool   // whether it is tried with Config.Quick
}

// List returns all experiments.
func List() (entries []Entry) {
	for _, e := range experiments() {
		entries = append(entries, Entry{e.name, e.means, e.mend, !e.long})
	}
	return entries
}

const keepServing = "After the signal, go on accepting and serving for longer than balancers " +
	"take to notice (gracekit: shutdown.Delay; elsewhere: sleep before you close), and only " +
	"then close."

func experiments() []experiment {
	return []experiment{
		{
			name:  "replace-http1",
			means: "Two instances are replaced in turn while clients POST on kept-alive connections.",
			mend:  keepServing,
			run:   replace(traffic{protocol: "HTTP/1", kept: true}, speaksHTTP1, keepAliveLoad),
		},
		{
			name:  "replace-newconn",
			means: "The same with a new connection for each request.",
			mend:  keepServing,
			run:   replace(traffic{protocol: "HTTP/1"}, speaksHTTP1, newConnectionLoad),
		},
		{
			name:  "replace-http2",
			means: "The same on HTTP/2 connections that all clients share, 25ms away.",
			mend: "Send no GOAWAY before balancers have noticed: what is on its way then is thrown away. " +
				keepServing,
			run: replace(traffic{protocol: "HTTP/2", http2: true, kept: true},
				func(p *program) bool { return p.http2 }, sharedLoad),
		},
		{
			name:  "replace-grpc",
			means: "The same with gRPC's unary calls (the health check).",
			mend:  "Call GracefulStop only when balancers have noticed. " + keepServing,
			run: replace(traffic{protocol: "gRPC", http2: true, kept: true},
				func(p *program) bool { return p.grpc }, callLoad),
		},
		{
			name:  "idle",
			means: "A connection that was idle at the signal is used while balancers do not know yet.",
			mend: "Do not close idle connections at the signal, and say \"Connection: close\" in each " +
				"answer from then on, so that clients leave by themselves (gracekit does; net/http's " +
				"SetKeepAlivesEnabled(false) says it too, but closes the idle ones at once).",
			run: idleConnections,
		},
		{
			name:  "queue",
			means: "Clients connect without a pause until the listener is closed. Who got in is answered.",
			mend: "Take what waits in the listener's queue before you close it (gracekit: GoHTTP, " +
				"GoGRPC); elsewhere, be unready long before you close, so that nobody connects any more.",
			run: queue,
		},
		{
			name: "readiness",
			means: "The readiness path stops to answer 2xx after the signal, and while the listener is " +
				"still open.",
			mend: "Answer 503 on the readiness path from the signal on (gracekit: health's DrainOn with " +
				"gs.Draining()), and close the listener only when balancers have seen it. Or name the " +
				"right path by -ready.",
			run: readiness,
		},
		{
			name:  "liveness",
			means: "The liveness path answers 2xx as long as the listener is open.",
			mend: "Do not tie liveness to the stop: a platform kills what is not alive, in the middle " +
				"of it.",
			run: liveness,
		},
		{
			name:  "in-flight",
			means: "A request that takes longer than everything else in the stop is answered in full.",
			mend: "Wait for Shutdown to return before main does: ListenAndServe returns at its begin " +
				"(gracekit's Run waits for both).",
			run: inFlight,
		},
		{
			name:  "events",
			means: "A stream of server-sent events ends in order, and is not cut.",
			mend: "Tell streams to leave when the stop begins, and let their handlers return (gracekit: " +
				"Tracker.Stream; net/http: Server.RegisterOnShutdown).",
			waits: true,
			run:   events,
		},
		{
			name:  "websocket",
			means: "A WebSocket gets a close frame before the connection ends.",
			mend: "Servers forget connections that were upgraded. Count them, send close frames (1001), " +
				"and wait (gracekit: Tracker.Stream).",
			waits: true,
			run:   webSocket,
		},
		{
			name:  "silent",
			means: "A connection that has never said anything does not hold the stop up.",
			mend: "Close connections that were never used when the drain begins (gracekit does; " +
				"net/http's Shutdown waits 5s for each).",
			waits: true,
			run:   silent,
		},
		{
			name:  "slow-reader",
			means: "A client that reads slowly gets all of a large answer.",
			mend:  "Wait for the responses that are still being written before the process ends.",
			run:   slowReader,
		},
		{
			name:  "second-signal",
			means: "A second signal, such as a second Ctrl-C, ends a stop that takes too long, at once.",
			mend: "Exit at the second signal (gracekit: posixsignal; elsewhere, give the signal its " +
				"default action back after the first).",
			waits: true,
			run:   secondSignal,
		},
		{
			name:  "signal-twice",
			means: "Two signals within a millisecond, as timeout and npm send them, count as one.",
			mend: "Ignore a repeat within some milliseconds (gracekit: signals.ForceWindow; 5ms by " +
				"default).",
			run: signalTwice,
		},
		{
			name:  "early-signal",
			means: "A signal 10ms after the start ends the program; it is not lost.",
			mend: "Register for the signals first of all, before anything slow, and look at the outcome: " +
				"never in a goroutine, and never in a shell that does not pass signals on (exec).",
			waits: true,
			run:   earlySignal,
		},
		{
			name:  "log-reader",
			means: "The reader of the program's output goes away: it costs the log, and no request.",
			mend: "Take SIGPIPE (Go: signal.Notify for it; gracekit does), or handle EPIPE on standard " +
				"output and error: the logs of a stop must not end it.",
			waits: true,
			run:   logReader,
		},
		{
			name: "other-signal",
			means: "SIGINT, which is Ctrl-C, stops the program like SIGTERM (SIGTERM, if -signal is " +
				"SIGINT).",
			mend:  "Handle SIGINT and SIGTERM alike.",
			waits: true,
			run:   otherSignal,
		},
		{
			name:  "exit",
			means: "An idle program ends by itself after the signal, with exit status 0.",
			mend: "Return from main without an error when the stop was clean (http.ErrServerClosed is " +
				"none), and stop every server that was started.",
			waits: true,
			long:  true,
			run:   exit,
		},
		{
			name:  "hang",
			means: "With a request that never ends, the program still ends before it is killed.",
			mend: "Give the drain a deadline below the platform's grace, and close by force after it " +
				"(gracekit: shutdown.Grace).",
			waits: true,
			long:  true,
			run:   hang,
		},
		{
			name:  "left-behind",
			means: "No child process, no socket and no temporary file outlives the program.",
			mend: "Stop and wait for the processes that you have started, and remove temporary files " +
				"(gracekit: a callback in shutdown.PhaseStore).",
			waits: true,
			run:   leftBehind,
		},
	}
}

func speaksHTTP1(p *program) bool { return p.http1 }
