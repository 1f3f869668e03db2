// Package signals turns the signals that ask a process to stop into a context or a channel. The
// first signal asks, the second forces.
//
//	func main() {
//		ctx := signals.SetupSignalContext()
//		serve(ctx) // returns when ctx is done: the first Ctrl-C or SIGTERM
//	}            // a second Ctrl-C does not wait for that: exit status 1
//
// Its nearest relative is [os/signal.NotifyContext]. The differences:
//
//   - A second signal ends the process. With os/signal it is swallowed, and a hung shutdown
//     survives any number of Ctrl-C.
//   - The context's cause is an [*Error] with the signal and the exit status that shells expect.
//   - A signal that the process inherited as ignored stays ignored: SIGHUP under nohup, and SIGINT
//     in a program that a shell script starts with &. In a script, stop it with SIGTERM.
//   - When the reader of the log has gone, the process loses log lines and lives on.
//   - [RequestShutdown] lets the program itself ask.
//
// Which function to use:
//
//	SetupSignalContext   main of a program; once per process
//	SetupSignalHandler   the same, where a channel is wanted (Kubernetes-style code)
//	NotifyContext        anywhere, any number of times; has to be released
//	Handle               a signal that is not about stopping: SIGHUP reloads, SIGUSR1 dumps
//
// Use package shutdown instead of a bare context when stopping has an order: requests first, then
// background work, then stores. A command that runs for seconds and has nothing to finish needs
// neither.
//
// The package does not wait for your work; return from main when it is done.
//
// # SIGPIPE
//
// In `service 2>&1 | tee log` a Ctrl-C ends tee as well, and Go ends a program that writes to a
// standard output or standard error without a reader. The first log record of the shutdown would be
// the last thing that the service does. So the functions that take the stop signals take SIGPIPE,
// too, from registration until release: such a write then fails with EPIPE, like any other write to
// a closed connection. SIGPIPE is not ignored, because child processes would inherit that.
//
// The price is that `service | head` lives on when head has ended. A command that should end with
// the reader of its output has to check the errors of its writes, or must not use this package.
// [Handle] does not take SIGPIPE, and with a [Source] nothing does.
//
// # What the operating system and Go decide
//
// The default signals are [os.Interrupt] and SIGTERM on every system. Go maps the closing of a
// Windows console, a log-off and a system shutdown to SIGTERM; Windows ends the process some
// seconds later in any case. Go's runtime keeps an inherited "ignored" for SIGHUP and SIGINT only
// (see os/signal, "Default behavior of signals in Go programs"); for other signals this package
// cannot detect it.
package signals

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// setup makes sure that SetupSignalHandler and SetupSignalContext are called once, because signals
// are process-wide.
var setup struct {
	mu       sync.Mutex
	caller   string // "file:line" of the first call
	notifier *notifier
}

// SetupSignalHandler returns a channel that is closed at the first [os.Interrupt] or SIGTERM. A
// second signal writes one line to standard error and ends the process with status 1.
//
// The signals are registered when it returns. It can be called once per process,
// [SetupSignalContext] included; a second call panics and names the file and line of the first. It
// starts one goroutine, which lives as long as the process.
func SetupSignalHandler() <-chan struct{} {
	return setupOnce("SetupSignalHandler", nil).Done()
}

// SetupSignalContext is [SetupSignalHandler] with a context instead of the channel, and with
// options. The context's cause ([context.Cause]) is an [*Error] with the signal, which
// [FromContext] returns.
func SetupSignalContext(opts ...Option) context.Context {
	return setupOnce("SetupSignalContext", opts)
}

func setupOnce(name string, opts []Option) context.Context {
	_, file, line, _ := runtime.Caller(2)

	setup.mu.Lock()
	defer setup.mu.Unlock()
	if setup.notifier != nil {
		panic(fmt.Sprintf("signals: %s: the signals of this process are already taken by the call "+
			"at %s; hand that context on, or use NotifyContext, which can be called any number of "+
			"times", name, setup.caller))
	}
	setup.caller = fmt.Sprintf("%s:%d", file, line)
	setup.notifier = notify(context.Background(), newConfig(opts))
	return setup.notifier.ctx
}

// RequestShutdown does what a first signal does to the channel of [SetupSignalHandler] or the
// context of [SetupSignalContext], so that a program can stop itself the way an operator would. It
// reports whether it was the first to ask. It never forces, however often it is called. The
// context's cause is then an error that Is [context.Canceled] and holds no signal.
//
// The next signal from outside does not force yet, because a platform sends its SIGTERM without
// knowing that the program is already stopping; the one after that does.
//
// Before SetupSignalHandler or SetupSignalContext was called it does nothing and returns false. It
// is safe for concurrent use.
func RequestShutdown() bool {
	setup.mu.Lock()
	n := setup.notifier
	setup.mu.Unlock()
	return n != nil && n.ask(requestedError{})
}

// requestedError is the cause of a context that RequestShutdown ended.
type requestedError struct{}

func (requestedError) Error() string        { return "signals: shutdown requested by the program" }
func (requestedError) Is(target error) bool { return target == context.Canceled }
