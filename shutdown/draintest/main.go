// Command draintest finds out how a program stops: whether requests are lost when it is replaced
// under load, what becomes of streams and of idle connections, when readiness turns, what a second
// signal does, how long a hang lasts, what is left behind. The program may be written in anything.
//
//	go run github.com/gracekit/gracekit/shutdown/draintest@latest -- ./server -addr 127.0.0.1:{port}
//
// It starts the program again and again, each time on a free port of 127.0.0.1, which it puts in
// the place of {port} ({port2} and so on are further ones, {dir} is an empty directory); with
// -env PORT it puts it into an environment variable. Everything stays on this machine, and nothing
// that it has started is left when it ends. It needs SIGTERM, so not Windows.
//
// Each experiment is a row of the table that is printed: what was tried, the verdict, a figure, and
// for a fault what to do about it. README.md explains them. In Go tests, package shutdowntest does
// the same.
//
// The exit status is 0 if there is no fault, 1 if there is one, and 2 if nothing could be found
// out: wrong use, or a program that does not start.
//
// # JSON
//
// With -json, one document is printed:
//
//	command        the program and its arguments
//	ok             whether there was no fault
//	passed         how many rows are "ok"
//	faults         how many are "fault"
//	notApplicable  how many are "n/a"
//	seconds        how long it took
//	rows           the experiments, in the order of -list; of each:
//	  name         as -only and -skip have it
//	  verdict      "ok", "fault" or "n/a"
//	  figure       what was measured, or why it does not apply; one line
//	  means        what the experiment is about
//	  mend         what to do about a fault; only if it is one
//	  seconds      how long it took
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/gracekit/gracekit/internal/drain"
	"github.com/gracekit/gracekit/internal/oneline"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const (
	exitFaults = 1
	exitUse    = 2
)

// run is main with the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "draintest:", err)
		return exitUse
	}
	if o.list {
		printList(stdout)
		return 0
	}
	// The experiments end, and so does what they have started, before this process does.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o.config.Progress = func(line string) { fmt.Fprintln(stderr, oneline.Cut(line, 200)) }
	report, err := drain.Run(ctx, o.config)
	if ctx.Err() != nil {
		err = errors.New("interrupted; nothing that was started is left")
	}
	if err != nil {
		fmt.Fprintln(stderr, "draintest:", err)
		return exitUse
	}
	if err := write(o, report, stdout); err != nil {
		fmt.Fprintln(stderr, "draintest:", err)
		return exitUse
	}
	if report.Count(drain.Fault) > 0 {
		return exitFaults
	}
	return 0
}

func write(o options, report *drain.Report, stdout io.Writer) error {
	if o.junit != "" {
		if err := writeJUnit(o.junit, o.config.Command, report); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(stdout, o.config.Command, report)
	}
	printTable(stdout, report)
	return nil
}
