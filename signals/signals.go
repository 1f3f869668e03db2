// Package signals turns the signals that ask a process to stop into a context or a channel. The
// first signal asks, the second forces.
//
//	func main() {
//		ctx := signals.SetupSignalContext()
//		serve(ctx) // returns when ctx is done: the first Ctrl-C or SIGTERM
//	}            // a second Ctrl-C does not wait for that: exit status 1
//
// Its nearest relative is [os/signal.NotifyContext]. What is different here:
//
//   - A second signal ends the process. With os/signal it is swallowed, and a hung shutdown
//     survives any number of Ctrl-C.
//   - The context's cause is an [*Error] that holds the signal, with the exit status shells expect.
//   - A signal that the process inherited as ignored (nohup) stays ignored.
//   - A log whose reader has gone costs the line, not the process.
//   - [RequestShutdown] lets the program itself be the one that asks.
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
// the last thing the service does. So whoever takes the signals that stop takes SIGPIPE, too, from
// registration until release: such a write then fails with EPIPE, like any other write to a closed
// connection. It is taken and not ignored, so child processes do not inherit that.
//
// The price is that `service | head` lives on when head has ended. A command that should end with
// the reader of its output has to look at the errors of its writes, or not to use this package.
// [Handle] alone does not take SIGPIPE, and nothing does with a [Source].
//
// # What the operating system and Go decide
//
// The signals are [os.Interrupt] and SIGTERM on every system. Go maps the closing of a Windows
// console, a log-off and a system shutdown to SIGTERM; Windows ends the process some seconds later
// whatever it does. Go's runtime keeps an inherited "ignored" for SIGHUP and SIGINT only (see
// os/signal, "Default behavior of signals in Go programs"); for any other signal this package
// cannot know about it.
package signals

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// setup is the once-guard of SetupSignalHandler and SetupSignalContext: the signals of a process
// are process-wide, and so is the right to be asked by them.
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

// SetupSignalContext is [SetupSignalHandler] with a context in place of the channel, and with
// options. The context's cause ([context.Cause]) is an [*Error] with the signal, which
// [FromContext] finds.
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
// context of [SetupSignalContext]: with it a program stops itself the way an operator would. It
// reports whether it was the first to ask. It never forces, however often it is called.
//
// The next signal from outside does not force yet, because a platform sends its SIGTERM without
// knowing that the program is stopping already; the one after that does. The context's cause is an
// error that Is [context.Canceled] and holds no signal.
//
// Before SetupSignalHandler or SetupSignalContext was called it does nothing and returns false. It
// is safe for concurrent use.
func RequestShutdown() bool {
	setup.mu.Lock()
	n := setup.notifier
	setup.mu.Unlock()
	return n != nil && n.ask(requestedError{})
}

// requestedError is the cause where no signal asked but RequestShutdown.
type requestedError struct{}

func (requestedError) Error() string        { return "signals: shutdown requested by the program" }
func (requestedError) Is(target error) bool { return target == context.Canceled }
