package main

import (
	"flag"
	"fmt"
	"io"
)

type options struct {
	config      string
	address     string
	admin       string
	printConfig bool
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (options, error) {
	var opts options
	flags := flag.NewFlagSet("ginserver", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opts.config, "config", "", "`file` in YAML; what it leaves out is as -print-config prints it")
	flags.StringVar(&opts.address, "address", "", "`host:port` to listen on, instead of server.address; port 0 takes a free one")
	flags.StringVar(&opts.admin, "admin-address", "", "`host:port` for metrics and profiles, instead of server.adminAddress")
	flags.BoolVar(&opts.printConfig, "print-config", false, "print the default config, and exit")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: ginserver [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return opts, err
	case err != nil:
		return opts, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return opts, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	}
	return opts, nil
}
