package signals

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/internal/control"
)

// An Option changes how [NotifyContext] and [SetupSignalContext] work. A nil Option is skipped.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	signals       []os.Signal
	onForce       func(os.Signal) // nil means exit
	forceWindow   time.Duration
	source        <-chan os.Signal
	secondHurries bool
}

func newConfig(opts []Option) config {
	c := config{
		signals:     []os.Signal{os.Interrupt, syscall.SIGTERM},
		forceWindow: 5 * time.Millisecond,
	}
	for _, o := range opts {
		switch o := o.(type) {
		case nil:
		case control.SecondHurries:
			c.secondHurries = true
		default:
			o.apply(&c)
		}
	}
	return c
}

// Signals replaces the default signals, [os.Interrupt] and SIGTERM. A signal that the process
// inherited as ignored stays ignored. It panics if there is none, or if one is nil or cannot be
// caught (SIGKILL, SIGSTOP).
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

// OnForce has fn called with the second signal, instead of a line on standard error and exit status
// 1. If fn returns, or calls [runtime.Goexit], the process goes on, and each further signal calls
// fn again, one call at a time. It panics if fn is nil.
func OnForce(fn func(os.Signal)) Option {
	if fn == nil {
		panic("signals: OnForce(nil): a function is needed")
	}
	return optionFunc(func(c *config) { c.onForce = fn })
}

// ForceWindow makes repeats of a signal that arrive less than d after it count as one signal. Some
// programs deliver a signal twice: GNU timeout sends SIGTERM to its child and to the process group,
// and npm passes on a Ctrl-C that the terminal has already sent to the whole group (npm/cli#1591).
// A different signal forces however soon it comes.
//
// The default is 5ms: enough for these programs, and less than a human needs for a second Ctrl-C.
// With 0 every second signal forces. It panics if d is negative.
func ForceWindow(d time.Duration) Option {
	if d < 0 {
		panic(fmt.Sprintf("signals: ForceWindow(%v): must not be negative", d))
	}
	return optionFunc(func(c *config) { c.forceWindow = d })
}

// Source takes the signals from c and none from the operating system. So a test can send any
// signal, even inside a [testing/synctest] bubble, where a channel registered with os/signal
// panics. Everything that c delivers counts, whatever [Signals] says. Closing c is not a signal. It
// panics if c is nil.
//
// [HandleFrom] is the same for Handle.
func Source(c <-chan os.Signal) Option {
	if c == nil {
		panic("signals: Source(nil): a channel is needed")
	}
	return optionFunc(func(cfg *config) { cfg.source = c })
}
