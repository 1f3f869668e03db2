//go:build unix

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"
)

type config struct {
	addr         string
	configFile   string
	pidFile      string
	logFile      string
	grace        time.Duration
	startTimeout time.Duration

	detach bool
	chdir  string
	umask  octal

	stop, reload, status bool
	stopTimeout          time.Duration
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for. All paths
// are absolute afterwards, so that they mean the same when the daemon has changed its directory.
func parseFlags(args []string, w io.Writer) (config, error) {
	cfg := config{umask: 0o027}
	flags := flag.NewFlagSet("daemon", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&cfg.configFile, "config", "", "the configuration, a `file` of JSON, read again on SIGHUP")
	flags.StringVar(&cfg.pidFile, "pid-file", "", "a `file` that is locked while the daemon runs, with its process ID in it")
	flags.StringVar(&cfg.logFile, "log-file", "", "a `file` that standard output and error are appended to, opened again on SIGHUP")
	flags.DurationVar(&cfg.grace, "grace", 25*time.Second, "how long stopping may take in all")
	flags.DurationVar(&cfg.startTimeout, "start-timeout", 30*time.Second, "how long the daemon may take until it serves")
	flags.BoolVar(&cfg.detach, "detach", false, "run in the background; return when the daemon serves")
	flags.StringVar(&cfg.chdir, "chdir", "/", "with -detach: the working `directory`")
	flags.Var(&cfg.umask, "umask", "with -detach: `permissions` that new files do not get, octal")
	flags.BoolVar(&cfg.stop, "stop", false, "stop the daemon that holds -pid-file, and wait until it is gone")
	flags.BoolVar(&cfg.reload, "reload", false, "have the daemon that holds -pid-file read its configuration and open its log file again")
	flags.BoolVar(&cfg.status, "status", false, "say whether a daemon holds -pid-file; exit status 3 if none does")
	flags.DurationVar(&cfg.stopTimeout, "stop-timeout", 30*time.Second, "how long -stop waits; more than -grace")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: daemon [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := cfg.validate(given); err != nil {
		return cfg, err
	}
	for _, path := range []*string{&cfg.configFile, &cfg.pidFile, &cfg.logFile, &cfg.chdir} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return cfg, err
		}
	}
	// To close a file ends the locks that this process has on it, whichever descriptor they were
	// taken by.
	if cfg.pidFile != "" && (cfg.pidFile == cfg.logFile || cfg.pidFile == cfg.configFile) {
		return cfg, fmt.Errorf("-pid-file is %s, want a file that is nothing else: not -log-file, nor -config", cfg.pidFile)
	}
	return cfg, nil
}

func (c config) validate(given map[string]bool) error {
	command := ""
	for _, f := range []struct {
		name string
		on   bool
	}{{"-detach", c.detach}, {"-stop", c.stop}, {"-reload", c.reload}, {"-status", c.status}} {
		if !f.on {
			continue
		}
		if command != "" {
			return fmt.Errorf("%s and %s exclude each other", command, f.name)
		}
		command = f.name
	}
	if command != "" && c.pidFile == "" {
		return fmt.Errorf("%s needs -pid-file, by which the daemon is found", command)
	}
	for _, name := range []string{"chdir", "umask"} {
		if given[name] && !c.detach {
			return fmt.Errorf("-%s needs -detach: in the foreground it is up to whoever starts the program", name)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"-grace", c.grace}, {"-start-timeout", c.startTimeout}, {"-stop-timeout", c.stopTimeout}} {
		if d.value <= 0 {
			return fmt.Errorf("%s is %v, must be positive", d.name, d.value)
		}
	}
	return nil
}

// octal is a file mode, as umask(1) and chmod(1) write it.
type octal int

func (o *octal) String() string { return fmt.Sprintf("%03o", int(*o)) }

func (o *octal) Set(text string) error {
	n, err := strconv.ParseUint(text, 8, 16)
	if err != nil || n > 0o777 {
		return errors.New("want octal digits from 000 to 777")
	}
	*o = octal(n)
	return nil
}
