// Package reqid_test shows reqid with the frameworks and libraries that people have.
package reqid_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/gracekit/gracekit/reqid"
)

// newLogger leaves out the time, so that the examples have an output to compare.
func newLogger() *slog.Logger {
	return slog.New(reqid.LogHandler(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
}

// numbered makes IDs that are the same in each run.
func numbered() reqid.Option {
	n := 0
	return reqid.Generator(func(context.Context) string { n++; return fmt.Sprint("id-", n) })
}
