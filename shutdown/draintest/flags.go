package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"

	"github.com/gracekit/gracekit/internal/drain"
)

type options struct {
	config drain.Config
	list   bool
	json   bool
	junit  string
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (options, error) {
	var o options
	c := &o.config
	c.Header = http.Header{}
	flags := flag.NewFlagSet("draintest", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.PortEnv, "env", "",
		"`name` of an environment variable that gets the port, such as PORT")
	flags.StringVar(&c.Ready, "ready", "",
		"`path` that answers 2xx while the program wants requests; "+
			"else /readyz, /healthz, /health, /livez or /")
	flags.StringVar(&c.Live, "live", "",
		"`path` that answers 2xx while the program lives; else /livez, /healthz or /health")
	flags.StringVar(&c.Path, "path", "", "`path` of the requests; / by default")
	flags.StringVar(&c.Method, "method", "", "method of the requests; POST by default")
	flags.StringVar(&c.Body, "body", "", "body of the requests; a small JSON document by default")
	flags.Var(headerFlag(c.Header), "header",
		"a `header` of all requests, as \"Name: value\"; may be given again")
	flags.StringVar(&c.Slow, "slow", "", "`path` that takes a second or more to answer; "+
		"else a request whose body comes late is in flight")
	flags.StringVar(&c.Large, "large", "", "`path` that answers more than a megabyte")
	flags.StringVar(&c.Events, "events", "",
		"`path` of server-sent events; else /events, /sse or /stream")
	flags.StringVar(&c.Socket, "socket", "", "`path` of a WebSocket; else /ws, /websocket or /socket")
	flags.Var((*signalFlag)(&c.Signal), "signal",
		"`name` of the signal that stops the program; TERM by default")
	flags.DurationVar(&c.Grace, "grace", 0,
		"after which the platform kills; 30s by default, 10s with -quick")
	flags.DurationVar(&c.Lag, "lag", 0,
		"how long balancers send to a program that is stopping; 200ms by default")
	flags.StringVar(&c.Via, "via", "", "replace instances behind this balancer, one of "+
		strings.Join(drain.Balancers(), ", ")+"; else draintest itself balances")
	flags.Var((*listFlag)(&c.Only), "only",
		"`names` of experiments, separated by commas: try only these")
	flags.Var((*listFlag)(&c.Skip), "skip",
		"`names` of experiments, separated by commas: leave them out")
	flags.BoolVar(&c.Quick, "quick", false, "leave out what takes as long as -grace")
	flags.BoolVar(&o.list, "list", false, "print the experiments and exit")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.junit, "junit", "", "write JUnit's XML to this `file` as well")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: // Parse returns it as it is
		fmt.Fprintln(w, "usage: draintest [flags] -- ./yourserver -addr 127.0.0.1:{port}")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w (-help lists the flags)", err)
	case c.Grace < 0 || c.Lag < 0:
		return o, errors.New("-grace and -lag must not be negative")
	}
	c.Command = flags.Args()
	return o, nil
}

type headerFlag http.Header

func (h headerFlag) String() string { return "" }

func (h headerFlag) Set(s string) error {
	name, value, found := strings.Cut(s, ":")
	if !found || name == "" || strings.ContainsAny(s, "\r\n") {
		return errors.New(`want "Name: value"`)
	}
	http.Header(h).Add(name, strings.TrimSpace(value))
	return nil
}

type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, ",") }

func (l *listFlag) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		*l = append(*l, strings.TrimSpace(name))
	}
	return nil
}

type signalFlag syscall.Signal

func (s *signalFlag) String() string { return "" }

func (s *signalFlag) Set(name string) error {
	const hangup = syscall.Signal(1) // not every system that this is built for has a name for it
	known := map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "HUP": hangup,
	}
	sig, ok := known[strings.TrimPrefix(strings.ToUpper(name), "SIG")]
	if !ok {
		return errors.New("want TERM, INT, QUIT or HUP")
	}
	*s = signalFlag(sig)
	return nil
}
