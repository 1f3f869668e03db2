package shutdown

import (
	"io"
	"net/http"
)

// DrainHandler wraps next so that, from the trigger on, each response says "Connection: close": an HTTP/1 client
// then opens its next connection elsewhere, and on HTTP/2 net/http sends GOAWAY in its place. A request that began before the trigger
// is told, too, if its header is written after it. [GracefulShutdown.AddHTTPServer] does this for its servers; for others it belongs
// outermost, and cannot hold back the responses of an HTTP/2 connection.
//
// What next gets as its [net/http.ResponseWriter] is a [net/http.Flusher], an [io.ReaderFrom], and a [net/http.Hijacker] or
// [net/http.Pusher] if the server's was, and works with [net/http.ResponseController]. DrainHandler panics if next is nil.
func (gs *GracefulShutdown) DrainHandler(next http.Handler) http.Handler {
	if next == nil {
		panic("shutdown: DrainHandler: next must not be nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dw := &drainWriter{ResponseWriter: w, gs: gs, goAway: goAwayOf(r), gone: r.Context().Done()}
		dw.goAway.event()
		next.ServeHTTP(dw.withOptional(), r)
		dw.beforeHeader(http.StatusOK) // what net/http sends for a handler that has written nothing
		dw.goAway.event()
	})
}

// A drainWriter sets the header in the last moment before it goes out.
type drainWriter struct {
	http.ResponseWriter
	gs          *GracefulShutdown
	goAway      *goAway         // nil unless this is HTTP/2
	gone        <-chan struct{} // closed when nobody waits for the response any more
	wroteHeader bool
}

// withOptional adds the interfaces that not every server has, so that a type assertion in a handler tells the truth.
func (w *drainWriter) withOptional() http.ResponseWriter {
	hijacker, hijacks := w.ResponseWriter.(http.Hijacker)
	pusher, pushes := w.ResponseWriter.(http.Pusher)
	switch {
	case hijacks && pushes:
		return struct {
			*drainWriter
			http.Hijacker
			http.Pusher
		}{w, hijacker, pusher}
	case hijacks:
		return struct {
			*drainWriter
			http.Hijacker
		}{w, hijacker}
	case pushes:
		return struct {
			*drainWriter
			http.Pusher
		}{w, pusher}
	}
	return w
}

func (w *drainWriter) beforeHeader(code int) {
	informational := code < 200 && code != http.StatusSwitchingProtocols
	if w.wroteHeader || informational {
		return
	}
	w.wroteHeader = true
	if code != http.StatusSwitchingProtocols && w.gs.isDraining() {
		w.goAway.settle(w.gone)
		w.Header().Set("Connection", "close")
	}
}

func (w *drainWriter) WriteHeader(code int) {
	w.beforeHeader(code)
	w.ResponseWriter.WriteHeader(code)
}

func (w *drainWriter) Write(p []byte) (int, error) {
	w.beforeHeader(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

func (w *drainWriter) WriteString(s string) (int, error) {
	w.beforeHeader(http.StatusOK)
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom keeps the way open for sendfile.
func (w *drainWriter) ReadFrom(r io.Reader) (int64, error) {
	w.beforeHeader(http.StatusOK)
	return io.Copy(w.ResponseWriter, r)
}

func (w *drainWriter) Flush() { _ = w.FlushError() }

func (w *drainWriter) FlushError() error {
	w.beforeHeader(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// CloseNotify is net/http's deprecated CloseNotifier, which gin's Stream still asserts.
func (w *drainWriter) CloseNotify() <-chan bool {
	if n, ok := w.ResponseWriter.(interface{ CloseNotify() <-chan bool }); ok {
		return n.CloseNotify()
	}
	return make(chan bool)
}

// Unwrap is for [net/http.ResponseController].
func (w *drainWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
