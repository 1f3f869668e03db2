package shutdown

import (
	"io"
	"net/http"
	"strings"
)

// DrainHandler wraps next so that its responses tell clients to leave, by "Connection: close": over
// HTTP/1 from the trigger on, so that the client opens its next connection elsewhere; over HTTP/2,
// where it makes net/http send GOAWAY, from the end of Delay on. What counts is when the header is
// written, not when the request began. HTTP/1 requests that a client has pipelined behind such a
// response are not answered (RFC 9112, 9.6).
//
// [GracefulShutdown.AddHTTPServer] and [GracefulShutdown.GoHTTP] do this for their servers. For
// other servers, make it the outermost handler, but inside of h2c.NewHandler. It cannot hold back
// the responses of an HTTP/2 connection there.
//
// The [net/http.ResponseWriter] that next gets is a [net/http.Flusher] and an [io.ReaderFrom]. It
// is a [net/http.Hijacker] or [net/http.Pusher] if the server's is, and works with
// [net/http.ResponseController]. DrainHandler panics if next is nil.
func (gs *GracefulShutdown) DrainHandler(next http.Handler) http.Handler {
	if next == nil {
		panic("shutdown: DrainHandler: next must not be nil")
	}
	return &leavingHandler{next, gs, nil}
}

type leavingHandler struct {
	next   http.Handler
	gs     *GracefulShutdown
	server *httpServer // the server whose handler it is; nil for DrainHandler
}

func (h *leavingHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	gs, server := h.gs, h.server
	dw := &drainWriter{ResponseWriter: w, gone: r.Context().Done(), goAway: goAwayOf(r)}
	switch {
	case server != nil && server.step.stage.afterIngress():
		dw.leave = server.leaving
	case r.ProtoMajor >= 2:
		dw.leave = gs.leaving
	default:
		dw.leave = gs.draining
	}
	if server != nil {
		server.inFlight.Add(1)
		defer server.inFlight.Add(-1)
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			server.sawGRPC.Store(true)
		}
	}
	dw.goAway.event()
	h.next.ServeHTTP(dw.withOptional(), r)
	dw.beforeHeader(http.StatusOK) // what net/http sends for a handler that has written nothing
	dw.goAway.event()
}

// A drainWriter sets the header just before it goes out.
type drainWriter struct {
	http.ResponseWriter
	leave       <-chan struct{} // closed when the client should leave
	goAway      *goAway         // nil unless this is HTTP/2
	gone        <-chan struct{} // closed when the client no longer waits for the response
	wroteHeader bool
	first       [1]byte // the first byte that ReadFrom copies
}

// withOptional adds the interfaces that not every server has, so that type assertions in a handler
// give the right answer.
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
	if code != http.StatusSwitchingProtocols && isClosed(w.leave) {
		w.goAway.waitForQuiet(w.gone)
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

// ReadFrom keeps sendfile possible. It writes the header only when the first byte has come, because
// the trigger may come before that.
func (w *drainWriter) ReadFrom(r io.Reader) (int64, error) {
	if !w.wroteHeader {
		if _, err := io.ReadFull(r, w.first[:]); err == io.EOF { // ReadFull does not wrap it
			return 0, nil
		} else if err != nil {
			return 0, err
		}
		if _, err := w.Write(w.first[:]); err != nil {
			return 0, err
		}
		n, err := io.Copy(w.ResponseWriter, r)
		return 1 + n, err
	}
	return io.Copy(w.ResponseWriter, r)
}

func (w *drainWriter) Flush() { _ = w.FlushError() }

func (w *drainWriter) FlushError() error {
	w.beforeHeader(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// CloseNotify implements net/http's deprecated CloseNotifier, which gin's Stream still asserts.
func (w *drainWriter) CloseNotify() <-chan bool {
	if n, ok := w.ResponseWriter.(interface{ CloseNotify() <-chan bool }); ok {
		return n.CloseNotify()
	}
	return make(chan bool)
}

// Unwrap is for [net/http.ResponseController].
func (w *drainWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
