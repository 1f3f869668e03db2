//go:build unix

// Command daemon is a small HTTP service that runs in the foreground, as systemd and containers
// want it, or as a classic daemon: with -detach it leaves the terminal, and whoever started it gets
// status 0 when it serves, not before.
//
//	go run -C examples ./daemon
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	starter := openStarter() // nil in the foreground
	err := run(os.Args[1:], starter)
	if err != nil && !errors.Is(err, flag.ErrHelp) && !starter.failed(err) {
		fmt.Fprintln(os.Stderr, "daemon:", err)
	}
	os.Exit(exitStatus(err))
}

func run(args []string, starter *starter) error {
	cfg, err := parseFlags(args, os.Stderr)
	switch {
	case err != nil:
		return err
	case cfg.status:
		return printStatus(cfg, os.Stdout)
	case cfg.reload:
		return requestReload(cfg)
	case cfg.stop:
		return requestStop(cfg, os.Stdout)
	case cfg.detach && starter == nil:
		return detach(cfg, os.Stdout)
	default:
		return serve(cfg, starter)
	}
}

// exitStatus returns 3 if the program is not running, which is what the LSB wants of "status".
func exitStatus(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errNotRunning):
		return 3
	default:
		return 1
	}
}
