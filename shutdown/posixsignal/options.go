package posixsignal

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// An Option changes how [New] works. A nil Option is skipped.
type Option interface{ apply(*manager) }

type optionFunc func(*manager)

func (f optionFunc) apply(m *manager) { f(m) }

// Signals replaces the default, [os.Interrupt] and SIGTERM. A signal that the process inherited as ignored stays ignored.
// It panics if there is none, or one that is nil or that no process can catch (SIGKILL, SIGSTOP).
func Signals(sigs ...os.Signal) Option {
	if len(sigs) == 0 {
		panic("posixsignal: Signals: at least one signal is needed")
	}
	for _, sig := range sigs {
		if sig == nil {
			panic("posixsignal: Signals: nil signal")
		}
		if slices.Contains(uncatchable, sig) {
			panic(fmt.Sprintf("posixsignal: Signals(%v): no process can catch this signal", sig))
		}
	}
	sigs = slices.Clone(sigs)
	return optionFunc(func(m *manager) { m.signals = sigs })
}

// OnForce replaces what the second signal does, which is one line on standard error and exit status 1. fn gets that signal. If it
// returns, the stop goes on, and each further signal calls fn again, one call at a time.
// It panics if fn is nil.
func OnForce(fn func(os.Signal)) Option {
	if fn == nil {
		panic("posixsignal: OnForce(nil): a function is needed")
	}
	return optionFunc(func(m *manager) { m.onForce = fn })
}

// ForceWindow makes every signal that arrives less than d after the first one count as the same one. Some
// programs that start others pass a Ctrl-C on although the terminal has sent it to the whole process group
// already, npm among them (npm/cli#1591); half a second is enough for those. The default is 0: the second signal forces,
// however soon it comes. It panics if d is negative.
func ForceWindow(d time.Duration) Option {
	if d < 0 {
		panic(fmt.Sprintf("posixsignal: ForceWindow(%v): must not be negative", d))
	}
	return optionFunc(func(m *manager) { m.forceWindow = d })
}

// Source takes the signals from c and none from the operating system: for tests, which can send on it what they
// like, inside a [testing/synctest] bubble too, where a channel registered with os/signal panics. Everything
// that c delivers counts, whatever [Signals] says. The end of c, if it is closed, is no signal. It panics if c is nil.
func Source(c <-chan os.Signal) Option {
	if c == nil {
		panic("posixsignal: Source(nil): a channel is needed")
	}
	return optionFunc(func(m *manager) { m.source = c })
}
