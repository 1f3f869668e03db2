package middleware

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/reqid"
)

// Config is what the middlewares of [Named] read, each from the section of its name.
type Config struct {
	Debug bool            `yaml:"-"` // whether Dump may be used
	CORS  CORSConfig      `yaml:"cors"`
	Limit RateLimitConfig `yaml:"limit"`
	Dump  DumpConfig      `yaml:"dump"`
}

// Named returns those of this package that a config file may choose. One of your own is one more
// line.
func Named(config Config, w *response.Writer, log *slog.Logger) Set {
	return Set{
		"requestid": Always(RequestID(reqid.Logger(log))), // the logger is for code that logs by reqid.L(ctx)
		"recovery":  Always(Recovery(w)),
		"logger":    Always(AccessLog(log)),
		"secure":    Always(Secure()),
		"options":   Always(Options()),
		"nocache":   Always(NoCache()),
		"cors":      func() (gin.HandlerFunc, error) { return CORS(config.CORS, w) },
		"dump":      func() (gin.HandlerFunc, error) { return Dump(!config.Debug, config.Dump, log) },
		"limit": func() (gin.HandlerFunc, error) {
			limiter, err := NewRateLimiter(config.Limit)
			return RateLimit(limiter, w), err
		},
	}
}

// A Set says by name how middlewares are made. Only those that are chosen are made, so that what
// the others need may be missing.
type Set map[string]func() (gin.HandlerFunc, error)

// Always returns a constructor that cannot fail.
func Always(h gin.HandlerFunc) func() (gin.HandlerFunc, error) {
	return func() (gin.HandlerFunc, error) { return h, nil }
}

// Chain makes the middlewares of these names, in this order: the first one is the outermost. Its
// error names everything that is wrong with them, and which names there are.
func (s Set) Chain(names []string) ([]gin.HandlerFunc, error) {
	chain := make([]gin.HandlerFunc, 0, len(names))
	var wrong []error
	for i, name := range names {
		construct, known := s[name]
		switch {
		case name == "context":
			wrong = append(wrong, fmt.Errorf("middleware %q is always installed: leave it out of the list", name))
		case !known:
			wrong = append(wrong, fmt.Errorf("unknown middleware %q: known are %s", name, strings.Join(slices.Sorted(maps.Keys(s)), ", ")))
		case slices.Contains(names[:i], name):
			wrong = append(wrong, fmt.Errorf("middleware %q is in the list twice", name))
		default:
			h, err := construct()
			if err != nil {
				wrong = append(wrong, fmt.Errorf("middleware %q: %w", name, err))
			}
			chain = append(chain, h)
		}
	}
	return chain, errors.Join(wrong...)
}
