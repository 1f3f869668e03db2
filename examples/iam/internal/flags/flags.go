// Package flags is what the programs' flags have in common: each of them may also be an environment
// variable or stand in a YAML file, -server.middlewares as IAM_SERVER_MIDDLEWARES or as
//
//	server:
//	  middlewares: [requestid, recovery]
//
// A flag counts more than the variable, and that more than the file.
package flags

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffyaml"

	"github.com/gracekit/gracekit/reqid"
)

// Parse returns an error of one line; the help goes to w only if it was asked for. The flags get
// one more, -config.
func Parse(flags *flag.FlagSet, args []string, w io.Writer) error {
	flags.String("config", "", "YAML `file` with flags, which counts less than the environment (IAM_ADDR for -addr), and that less than a flag")
	flags.SetOutput(io.Discard)
	flags.Usage = func() {} // the flag package would print it after each error
	err := ff.Parse(flags, args, ff.WithEnvVarPrefix("IAM"), ff.WithConfigFileFlag("config"), ff.WithConfigFileParser(ffyaml.Parser))
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(w, "usage: %s [flags]\n", flags.Name())
		flags.SetOutput(w)
		flags.PrintDefaults()
		return err
	case err != nil:
		text := strings.TrimPrefix(err.Error(), "error parsing commandline arguments: ")
		return fmt.Errorf("%s (-help lists the flags)", strings.ReplaceAll(text, "\n", "; "))
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	}
	return nil
}

// Given reports whether the flag has been set, wherever.
func Given(flags *flag.FlagSet, name string) (given bool) {
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}

// File replaces value by what the file of the flag has, without the space around it, if the flag
// was given. It is for what has no place on a command line, since the list of processes shows that
// to everyone. An empty file is an error.
func File(flagName, path string, value *string) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("-%s: %w", flagName, err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return fmt.Errorf("-%s: %s is empty", flagName, path)
	}
	*value = text
	return nil
}

// List is a flag of several values: in a file a list, elsewhere with commas between. What is given
// replaces the default.
func List(flags *flag.FlagSet, values *[]string, name, usage string) {
	flags.Var(&list{values: values}, name, usage)
}

type list struct {
	values *[]string
	set    bool
}

func (l *list) String() string {
	if l.values == nil { // the flag package asks an empty one for its default
		return ""
	}
	return strings.Join(*l.values, ",")
}

func (l *list) Set(text string) error {
	if !l.set {
		*l.values, l.set = nil, true
	}
	for value := range strings.SplitSeq(text, ",") {
		if value = strings.TrimSpace(value); value != "" {
			*l.values = append(*l.values, value)
		}
	}
	return nil
}

// A Log is what -log-level and -log-format say.
type Log struct {
	level  slog.Level
	format string
}

// NewLog adds the two flags.
func NewLog(flags *flag.FlagSet) *Log {
	l := new(Log)
	flags.TextVar(&l.level, "log-level", slog.LevelInfo, "DEBUG, INFO, WARN or ERROR")
	flags.StringVar(&l.format, "log-format", "text", "text or json")
	return l
}

// Logger returns a logger whose records carry the request's ID and user.
func (l *Log) Logger(w io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: l.level}
	switch l.format {
	case "text":
		return slog.New(reqid.LogHandler(slog.NewTextHandler(w, options))), nil
	case "json":
		return slog.New(reqid.LogHandler(slog.NewJSONHandler(w, options))), nil
	}
	return nil, fmt.Errorf("-log-format is %.20q, must be text or json", l.format)
}
