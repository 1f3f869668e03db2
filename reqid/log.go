package reqid

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
)

// Keys of the attributes that [LogHandler] adds.
const (
	RequestIDKey = "requestID"
	UsernameKey  = "username"
	ParentKey    = "parentRequestID" // only under Chain, not on the first hop
	RootKey      = "rootRequestID"   // only under Chain
)

// A LogOption changes how [LogHandler] works.
type LogOption interface{ applyLog(*logKeys) }

type logOptionFunc func(*logKeys)

func (f logOptionFunc) applyLog(k *logKeys) { f(k) }

// Rename gives an attribute another key: Rename(RequestIDKey, "request_id").
// An empty key leaves it out. It panics if key is not one of the four constants.
func Rename(key, as string) LogOption {
	i := slices.Index(defaultKeys[:], key)
	if i < 0 {
		panic(fmt.Sprintf("reqid: Rename(%q, %q): must be one of %q", key, as, defaultKeys))
	}
	return logOptionFunc(func(k *logKeys) { k[i] = as })
}

// logKeys are the keys of the attributes, in the order in which they are logged.
type logKeys [4]string

var defaultKeys = logKeys{RequestIDKey, ParentKey, RootKey, UsernameKey}

// fields is a set of indices of logKeys.
type fields uint8

// LogHandler returns a handler that adds requestID and username to every record whose
// context has them, and hands it to next. slog passes a context only from the methods
// that take one: log.InfoContext(ctx, …), not log.Info(…); see [L] for the others.
//
// They stand at the root, before the record's own attributes and outside of every group,
// in whatever order WithGroup and WithAttrs were called. An attribute that the
// root already has, from With or in the record, is not added again, and wrapping twice is
// wrapping once (the options of the outer call count).
//
// The first record that a logger writes in a request is given the attributes. From the second on it goes to a
// handler that next.WithAttrs made and that the request keeps, so the cost is
// that of a logger with the attributes formatted beforehand, and there is no
// allocation. Loggers with an open group do so from the first record.
//
// Do not make the result of LogHandler(slog.Default().Handler()) the default while
// that is still the standard library's own: the two would wait for each other forever
// (https://go.dev/issue/62424). It panics if next is nil.
func LogHandler(next slog.Handler, opts ...LogOption) slog.Handler {
	if next == nil {
		panic("reqid: LogHandler(nil): must be a handler")
	}
	keys := defaultKeys
	for _, o := range opts {
		if o != nil {
			o.applyLog(&keys)
		}
	}
	if h, ok := next.(*logHandler); ok {
		if len(opts) == 0 {
			return h
		}
		renamed := *h
		renamed.keys = keys
		return &renamed
	}
	return &logHandler{keys: keys, next: next}
}

// logHandler is immutable.
type logHandler struct {
	keys  logKeys
	bound *scope       // of L: for records whose context has none
	next  slog.Handler // with everything With and WithGroup were given
	taken fields       // what the root already has by WithAttrs

	// Only once a group is open: what next was before it, and what came since, so that
	// the attributes can be put before the group.
	root  slog.Handler
	since []step
}

// step is one call of WithGroup or, if group is empty, of WithAttrs.
type step struct {
	group string
	attrs []slog.Attr
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	with := *h
	if h.root == nil {
		for _, a := range attrs {
			with.taken |= h.keys.find(a)
		}
	} else {
		// A handler owns the slice it is given, so next must not get ours.
		with.since = append(slices.Clip(h.since), step{attrs: slices.Clone(attrs)})
	}
	with.next = h.next.WithAttrs(attrs)
	return &with
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	if h.root == nil {
		with.root = h.next
	}
	with.since = append(slices.Clip(h.since), step{group: name})
	with.next = h.next.WithGroup(name)
	return &with
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	s := scopeOf(ctx)
	if s == nil {
		s = h.bound
	}
	if s == nil {
		return h.next.Handle(ctx, r)
	}
	taken := h.taken
	if h.root == nil {
		r.Attrs(func(a slog.Attr) bool {
			taken |= h.keys.find(a)
			return true
		})
	}
	u := s.user.Load()
	if with := s.derived.find(h, u, taken); with != nil {
		return with.Handle(ctx, r)
	}
	var array [len(h.keys)]slog.Attr
	attrs := h.appendAttrs(array[:0], s, u, taken)
	const inline = 5 // as many attributes a slog.Record holds without allocating
	if h.root == nil && len(attrs)+r.NumAttrs() <= inline && s.derived.first(h) {
		return h.next.Handle(ctx, prepend(attrs, r))
	}
	with := h.derive(slices.Clone(attrs))
	s.derived.add(h, u, taken, with)
	return with.Handle(ctx, r)
}

// appendAttrs appends the attributes of s that are not taken.
func (h *logHandler) appendAttrs(attrs []slog.Attr, s *scope, u *user, taken fields) []slog.Attr {
	var logged string
	if u != nil {
		logged = u.logged
	}
	for i, value := range [len(h.keys)]string{s.id, s.parent, s.root, logged} {
		if value != "" && h.keys[i] != "" && taken&(1<<i) == 0 {
			attrs = append(attrs, slog.String(h.keys[i], value))
		}
	}
	return attrs
}

// derive returns next with attrs at the root.
func (h *logHandler) derive(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h.next
	}
	if h.root == nil {
		return h.next.WithAttrs(attrs)
	}
	with := h.root.WithAttrs(attrs)
	for _, s := range h.since {
		if s.group != "" {
			with = with.WithGroup(s.group)
		} else {
			with = with.WithAttrs(slices.Clone(s.attrs))
		}
	}
	return with
}

// prepend returns a new record, since copies of r may share the memory behind its
// attributes.
func prepend(attrs []slog.Attr, r slog.Record) slog.Record {
	with := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	with.AddAttrs(attrs...)
	r.Attrs(func(a slog.Attr) bool {
		with.AddAttrs(a)
		return true
	})
	return with
}

// find returns which of our attributes a is or, if it is a group without a name,
// whose members belong to its parent, contains.
func (k *logKeys) find(a slog.Attr) fields {
	if a.Key == "" {
		var found fields
		if a.Value.Kind() == slog.KindGroup {
			for _, member := range a.Value.Group() {
				found |= k.find(member)
			}
		}
		return found
	}
	for i := range k {
		if k[i] == a.Key {
			return 1 << i
		}
	}
	return 0
}
