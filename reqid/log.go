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
	RootKey      = "rootRequestID"   // only under [Chain], or if the caller sent one
)

// A LogOption changes how [LogHandler] works. A nil LogOption is skipped.
type LogOption interface{ applyLog(*logKeys) }

type logOptionFunc func(*logKeys)

func (f logOptionFunc) applyLog(k *logKeys) { f(k) }

// Rename gives an attribute another key: Rename(RequestIDKey, "request_id"). An empty key leaves it
// out. It panics if key is not one of the four constants: [RequestIDKey], [UsernameKey],
// [ParentKey] and [RootKey].
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

// LogHandler returns a handler that adds requestID and username to every record whose context has
// them, and hands it to next. slog passes a context only from the methods that take one:
// log.InfoContext(ctx, …), not log.Info(…); see [L] for the others. Where ctx is a *gin.Context,
// the engine needs ContextWithFallback; see "Frameworks" in the package documentation. Under
// [Chain] it also adds parentRequestID and rootRequestID.
//
// They stand at the root, before the record's own attributes and outside of every group, in
// whatever order WithGroup and WithAttrs were called. An attribute that the root already has, from
// With or in the record, is not added again. Wrapping twice is wrapping once: the inner options
// still count, the outer ones count more.
//
// It makes no allocation for a record of up to 5 attributes, ours included, and one for each open
// group.
//
// It panics if next is nil, if the options give two attributes the same key, or if next is slog's
// own default handler: as the default again, the two would wait for each other forever at the first
// record (https://go.dev/issue/62424). The same happens if another handler stands between the two,
// where it cannot be seen.
func LogHandler(next slog.Handler, opts ...LogOption) slog.Handler {
	if next == nil {
		panic("reqid: LogHandler(nil): must be a handler")
	}
	if fmt.Sprintf("%T", next) == "*slog.defaultHandler" {
		panic("reqid: LogHandler(slog.Default().Handler()): must be another handler, " +
			"such as slog.NewTextHandler(os.Stderr, nil)")
	}
	return newLogHandler(next, opts...)
}

func newLogHandler(next slog.Handler, opts ...LogOption) *logHandler {
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
			panic(fmt.Sprintf("reqid: LogHandler: two attributes have the key %q: must differ",
				key))
		}
	}
	return h
}

// logHandler is immutable once LogHandler or L has returned it.
type logHandler struct {
	keys  logKeys
	bound *scope       // of L: for records whose context has none
	next  slog.Handler // with everything With and WithGroup were given
	given []slog.Attr  // of the root, by WithAttrs
	taken fields       // which of ours are among given

	// Once a group is open: next as it was before, and all open groups with their attributes, so
	// that ours can stand before the first.
	root   slog.Handler
	groups []slog.Attr // the value of each is a group
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
		with.groups = slices.Clone(h.groups)
		last := &with.groups[len(with.groups)-1]
		// A handler owns the slice it is given, so next must not get ours.
		last.Value = slog.GroupValue(slices.Concat(last.Value.Group(), attrs)...)
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
	with.groups = append(slices.Clip(h.groups), slog.Group(name))
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
	// A new record, since copies of r may share the memory behind its attributes. They go into it
	// all at once: one by one they would allocate again and again. Ours come first, but which they
	// are is known only after the others.
	const ours = len(h.keys)
	var array [ours + 12]slog.Attr
	all, taken := array[:ours], h.taken
	for a := range r.Attrs {
		if h.root == nil {
			taken |= h.keys.find(a)
		}
		all = append(all, a)
	}
	for _, group := range slices.Backward(h.groups) {
		group.Value = slog.GroupValue(slices.Concat(group.Value.Group(), all[ours:])...)
		all = append(all[:ours], group)
	}
	first := h.fill(all[:ours], s, taken)
	with := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	with.AddAttrs(all[first:]...)
	if h.root != nil {
		return h.root.Handle(ctx, with)
	}
	return h.next.Handle(ctx, with)
}

// fill puts the attributes of s that are not taken at the end of attrs. It returns where they
// begin.
func (h *logHandler) fill(attrs []slog.Attr, s *scope, taken fields) (first int) {
	var logged string
	if u := s.user.Load(); u != nil {
		logged = u.logged
	}
	first = len(attrs)
	for i, value := range slices.Backward([]string{s.id, s.parent, s.root, logged}) {
		if value != "" && h.keys[i] != "" && taken&(1<<i) == 0 {
			first--
			attrs[first] = slog.String(h.keys[i], value)
		}
	}
	return first
}

// among returns which of our attributes are among attrs, or in a group without a name there, whose
// members belong to its parent.
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
