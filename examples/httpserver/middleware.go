package main

import (
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gracekit/gracekit/reqid"
)

// authenticate is a toy: any user with the password "demo", or nobody. What it finds is seen by
// every log record of the request, those of middlewares outside of it included.
func authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, given := r.BasicAuth(); given {
			if subtle.ConstantTimeCompare([]byte(password), []byte("demo")) != 1 {
				w.Header().Set("WWW-Authenticate", `Basic realm="demo"`)
				http.Error(w, "wrong user or password", http.StatusUnauthorized)
				return
			}
			reqid.SetUser(r.Context(), user)
		}
		next.ServeHTTP(w, r)
	})
}

// accessLog writes a record for each request, after it: with its ID and, if somebody was
// authenticated, the user. Those of the probes are debug messages, because they come every few
// seconds and say nothing.
func accessLog(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		defer func() { // also if the handler panics
			level := slog.LevelInfo
			if first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first == "livez" || first == "readyz" || first == "startupz" {
				level = slog.LevelDebug
			}
			log.LogAttrs(r.Context(), level, "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", recorder.status),
				slog.Int64("bytes", recorder.bytes), slog.Duration("took", time.Since(begin)))
		}()
		next.ServeHTTP(recorder, r)
	})
}

// A statusRecorder remembers what was answered. Unwrap lets http.ResponseController reach the
// connection through it.
type statusRecorder struct {
	http.ResponseWriter
	status      int
	bytes       int64
	wroteHeader bool
}

func (w *statusRecorder) WriteHeader(status int) {
	if !w.wroteHeader && (status >= 200 || status == http.StatusSwitchingProtocols) { // the others are only announcements
		w.status, w.wroteHeader = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusRecorder) Write(p []byte) (int, error) {
	w.wroteHeader = true
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
