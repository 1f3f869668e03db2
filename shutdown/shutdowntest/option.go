package shutdowntest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/internal/drain"
)

// An Option changes what [Program] does. A nil Option is skipped.
type Option interface{ apply(*drain.Config) }

type optionFunc func(*drain.Config)

func (f optionFunc) apply(c *drain.Config) { f(c) }

// Env puts the port into an environment variable, such as PORT. It panics if name is not the name
// of one.
func Env(name string) Option {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		panic(fmt.Sprintf("shutdowntest: Env(%q): must be the name of a variable", name))
	}
	return optionFunc(func(c *drain.Config) { c.PortEnv = name })
}

// Path says where the program has something. What is not said is looked for in the usual places, or
// does not apply. The purposes are
//
//	ready   answers 2xx while the program wants requests
//	live    answers 2xx while the program lives
//	slow    takes a second or more to answer; without it, a POST whose body comes late is in flight
//	large   answers more than a megabyte
//	events  server-sent events
//	socket  a WebSocket
//
// It panics if purpose is none of these, or if path does not begin with a slash.
func Path(purpose, path string) Option {
	var c drain.Config
	if err := c.SetPath(purpose, path); err != nil || purpose == "path" {
		panic(fmt.Sprintf("shutdowntest: Path(%q, %q): the purpose is none of those that there are",
			purpose, path))
	}
	if !strings.HasPrefix(path, "/") {
		panic(fmt.Sprintf("shutdowntest: Path(%q, %q): the path must begin with a slash", purpose, path))
	}
	return optionFunc(func(c *drain.Config) { _ = c.SetPath(purpose, path) })
}

// Request is what the load consists of, in place of a POST of a small JSON document to "/". Any
// answer below 500 will do. header may be nil; it is sent with the requests to all other paths as
// well. It panics if method is empty or path does not begin with a slash.
func Request(method, path, body string, header http.Header) Option {
	if method == "" || !strings.HasPrefix(path, "/") {
		panic(fmt.Sprintf("shutdowntest: Request(%q, %q): want a method, and a path that begins with "+
			"a slash", method, path))
	}
	header = header.Clone()
	return optionFunc(func(c *drain.Config) {
		c.Method, c.Path, c.Body, c.Header = method, path, body, header
	})
}

// Signal is the one that stops the program. The default is SIGTERM. It panics if sig is not
// positive.
func Signal(sig syscall.Signal) Option {
	if sig <= 0 {
		panic(fmt.Sprintf("shutdowntest: Signal(%d): must be positive", int(sig)))
	}
	return optionFunc(func(c *drain.Config) { c.Signal = sig })
}

// Grace is how long the platform waits for the program before it kills it. The default is 30s, with
// [Quick] 10s. It panics if d is not positive.
func Grace(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("shutdowntest: Grace(%v): must be positive", d))
	}
	return optionFunc(func(c *drain.Config) { c.Grace = d })
}

// Quick leaves out what takes as long as Grace if the program hangs.
func Quick() Option { return optionFunc(func(c *drain.Config) { c.Quick = true }) }

// Only tries only the experiments with these names; draintest -list prints them. It panics if there
// is none of a name.
func Only(names ...string) Option {
	mustExist("Only", names)
	return optionFunc(func(c *drain.Config) { c.Only = append(c.Only, names...) })
}

// Skip leaves out the experiments with these names. It panics if there is none of a name.
func Skip(names ...string) Option {
	mustExist("Skip", names)
	return optionFunc(func(c *drain.Config) { c.Skip = append(c.Skip, names...) })
}

func mustExist(option string, names []string) {
	for _, name := range names {
		if !slices.ContainsFunc(drain.List(), func(e drain.Entry) bool { return e.Name == name }) {
			panic(fmt.Sprintf("shutdowntest: %s(%q): there is no such experiment", option, name))
		}
	}
}
