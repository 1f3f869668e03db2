package signals

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// An Option changes how [NotifyContext] works. A nil Option is skipped.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	signals     []os.Signal
	onForce     func(os.Signal)
	forceWindow time.Duration
	source      <-chan os.Signal
}

func newConfig(opts []Option) config {
	c := config{
		signals: []os.Signal{os.Interrupt, syscall.SIGTERM},
		onForce: exit,
	}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	return c
}

// exit is what the second signal does unless OnForce says otherwise. Standard error may be a pipe that is full or that nobody reads any
// more, just when a stop hangs: that holds the exit up for a moment at most.
func exit(sig os.Signal) {
	ignoreBrokenPipe()
	time.AfterFunc(time.Second, func() { os.Exit(1) })
	fmt.Fprintf(os.Stderr, "received %v while shutting down: exiting at once\n", sig)
	os.Exit(1)
}

// Signals replaces the default, [os.Interrupt] and SIGTERM. A signal that the process inherited as ignored stays ignored.
// It panics if there is none, or one that is nil or that no process can catch (SIGKILL, SIGSTOP).
func Signals(sigs ...os.Signal) Option {
	checkSignals("Signals", sigs)
	sigs = slices.Clone(sigs)
	return optionFunc(func(c *config) { c.signals = sigs })
}

func checkSignals(name string, sigs []os.Signal) {
	if len(sigs) == 0 {
		panic(fmt.Sprintf("signals: %s: at least one signal is needed", name))
	}
	for _, sig := range sigs {
		if sig == nil {
			panic(fmt.Sprintf("signals: %s: nil signal", name))
		}
		if slices.Contains(uncatchable, sig) {
			panic(fmt.Sprintf("signals: %s(%v): no process can catch this signal", name, sig))
		}
	}
}

// OnForce replaces what the second signal does, which is one line on standard error and exit status 1. fn gets that signal. If it
// returns, the process goes on, and each further signal calls fn again, one call at a time.
// It panics if fn is nil.
func OnForce(fn func(os.Signal)) Option {
	if fn == nil {
		panic("signals: OnForce(nil): a function is needed")
	}
	return optionFunc(func(c *config) { c.onForce = fn })
}

// ForceWindow makes every signal that arrives less than d after the first one count as the same one. Some
// programs that start others pass a Ctrl-C on although the terminal has sent it to the whole process group
// already, npm among them (npm/cli#1591); half a second is enough for those. The default is 0: the second signal forces,
// however soon it comes. It panics if d is negative.
func ForceWindow(d time.Duration) Option {
	if d < 0 {
		panic(fmt.Sprintf("signals: ForceWindow(%v): must not be negative", d))
	}
	return optionFunc(func(c *config) { c.forceWindow = d })
}

// Source takes the signals from c and none from the operating system: for tests, which can send on it what they
// like, inside a [testing/synctest] bubble too, where a channel registered with os/signal panics. Everything
// that c delivers counts, whatever [Signals] says. The end of c, if it is closed, is no signal. It panics if c is nil.
func Source(c <-chan os.Signal) Option {
	if c == nil {
		panic("signals: Source(nil): a channel is needed")
	}
	return optionFunc(func(cfg *config) { cfg.source = c })
}
