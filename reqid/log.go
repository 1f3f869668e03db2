package reqid

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
)

// Keys of the attributes that [LogHandler] adds; [Rename] changes them.
const (
	RequestIDKey = "requestID"
	UsernameKey  = "username"        // only after [SetUser]
	ParentKey    = "parentRequestID" // only under [Chain], not on the first hop
	RootKey      = "rootRequestID"   // only under [Chain], or if [Extract] found one
)

// A LogOption changes how [LogHandler] works. A nil LogOption is skipped.
type LogOption interface{ applyLog(*logKeys) }

type logOptionFunc func(*logKeys)

func (f logOptionFunc) applyLog(k *logKeys) { f(k) }

// Rename gives an attribute another key: Rename(RequestIDKey, "request_id"). An empty
// key leaves it out. It panics if key is not one of the four constants: [RequestIDKey],
// [UsernameKey], [ParentKey] and [RootKey].
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
// Under [Chain] it also adds parentRequestID and rootRequestID.
//
// They stand at the root, before the record's own attributes and outside of every
// group, in whatever order WithGroup and WithAttrs were called. An attribute that the
// root already has, from With or in the record, is not added again. Wrapping twice is
// wrapping once: the inner options still count, the outer ones count more.
//
// It costs about as much as a logger that was given the two attributes by With, and
// makes no allocation for a record of up to 5 attributes. That is so once the logger has
// written a record or two in the request; a logger's first one is given the attributes
// instead, or a handler of its own if a group is open.
//
// Do not make the result of LogHandler(slog.Default().Handler()) the default while that
// is still the standard library's own: the two would wait for each other forever
// (https://go.dev/issue/62424). It panics if next is nil, or if the options give two
// attributes the same key.
func LogHandler(next slog.Handler, opts ...LogOption) slog.Handler {
	if next == nil {
		panic("reqid: LogHandler(nil): must be a handler")
	}
	h := &logHandler{keys: defaultKeys, next: next}
	if inner, ok := next.(*logHandler); ok {
		*h = *inner
	}
	for _, o := range opts {
		if o != nil {
			o.applyLog(&h.keys)
		}
	}
	h.taken = h.keys.among(h.given)
	for i, key := range h.keys {
		if key != "" && slices.Contains(h.keys[:i], key) {
			panic(fmt.Sprintf("reqid: LogHandler: two attributes have the key %q: must differ", key))
		}
	}
	return h
}

// logHandler is immutable once LogHandler or L has returned it.
type logHandler struct {
	keys  logKeys
	bound *scope       // of L: for records whose context has none
	next  slog.Handler // with everything With and WithGroup were given
	given []slog.Attr  // what the root already has by WithAttrs
	taken fields       // which of ours are among given

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
		with.given = append(slices.Clip(h.given), attrs...)
		with.taken |= h.keys.among(attrs)
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
	if h.root == nil && s.derived.first(h) {
		// Perhaps the only one, such as the line of an access log: that does not pay
		// for a handler. From the second on, not having to format ours again does.
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
	// Added one by one, the attributes would allocate again and again.
	var array [12]slog.Attr
	all := append(array[:0], attrs...)
	r.Attrs(func(a slog.Attr) bool {
		all = append(all, a)
		return true
	})
	with := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	with.AddAttrs(all...)
	return with
}

// among returns which of our attributes are among attrs, or in a group without a name
// there, whose members belong to its parent.
func (k *logKeys) among(attrs []slog.Attr) (found fields) {
	for _, a := range attrs {
		found |= k.find(a)
	}
	return found
}

func (k *logKeys) find(a slog.Attr) fields {
	if a.Key == "" {
		if a.Value.Kind() != slog.KindGroup {
			return 0
		}
		return k.among(a.Value.Group())
	}
	if i := slices.Index(k[:], a.Key); i >= 0 {
		return 1 << i
	}
	return 0
}
