package reqid

import (
	"context"
	"log/slog"
)

// L returns a logger for the request of ctx, for code that logs without passing a context:
// reqid.L(ctx).Info("done") has requestID and username. It is the one given to [Middleware] or
// [Extract] by [Logger], otherwise [slog.Default] at the time of the call; it need not have a
// [LogHandler], and if it has, nothing is added twice. The user is looked up at each record, so a
// logger kept from before [SetUser] logs it, too.
//
// A record that is given a context with another request ID gets that one. If ctx has no request ID,
// L returns [slog.Default]. Do not make the result the default.
func L(ctx context.Context) *slog.Logger {
	s := scopeOf(ctx)
	if s == nil {
		return slog.Default()
	}
	base := s.logger
	if base == nil {
		base = slog.Default()
	}
	if b := s.bound.Load(); b != nil && b.base == base {
		return b.Logger
	}
	h := newLogHandler(base.Handler())
	h.bound = s
	b := &boundLogger{base: base, Logger: slog.New(h)}
	s.bound.Store(b)
	return b.Logger
}

// boundLogger is what L returned last, and what it made it from.
type boundLogger struct {
	base *slog.Logger
	*slog.Logger
}
