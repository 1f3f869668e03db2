package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/gracekit/gracekit/reqid"
)

// logScenarios write one record with three attributes, the request's ID and its user.
func logScenarios() ([]scenario, error) {
	const user = "alice"
	ctx, err := reqid.NewContext(context.Background(), clientID)
	if err != nil {
		return nil, err
	}
	if !reqid.SetUser(ctx, user) {
		return nil, errors.New("the context has no request ID")
	}
	three := []slog.Attr{slog.String("method", "GET"), slog.String("path", "/v1/users"), slog.Int("status", 200)}
	five := append([]slog.Attr{slog.String("requestID", clientID), slog.String("username", user)}, three...)

	s := scenario{name: "a log record with ID, user and 3 attributes", unit: nanoseconds}
	for _, w := range []struct {
		name, module, note string
		logger             func(io.Writer) *slog.Logger
		attrs              []slog.Attr
	}{
		{"gracekit reqid.LogHandler", gracekit, "", func(w io.Writer) *slog.Logger {
			return slog.New(reqid.LogHandler(slog.NewJSONHandler(w, nil)))
		}, three},
		{"gracekit reqid.L", gracekit, "the logger is kept for the request", func(w io.Writer) *slog.Logger {
			return requestLogger(slog.New(slog.NewJSONHandler(w, nil)), user)
		}, three},
		{"slog, in the logger", "", "by hand: one With for each request, carried to where logs are written", func(w io.Writer) *slog.Logger {
			return slog.New(slog.NewJSONHandler(w, nil)).With("requestID", clientID, "username", user)
		}, three},
		{"slog, in each call", "", "by hand", func(w io.Writer) *slog.Logger {
			return slog.New(slog.NewJSONHandler(w, nil))
		}, five},
	} {
		log := w.logger(io.Discard)
		s.contestants = append(s.contestants, contestant{
			name: w.name, module: w.module, note: w.note,
			op: func() error {
				log.LogAttrs(ctx, slog.LevelInfo, "request", w.attrs...)
				return nil
			},
			check: func() error {
				var out bytes.Buffer
				w.logger(&out).LogAttrs(ctx, slog.LevelInfo, "request", w.attrs...)
				var record struct {
					RequestID, Username, Path string
				}
				if err := json.Unmarshal(out.Bytes(), &record); err != nil {
					return err
				}
				if record.RequestID != clientID || record.Username != user || record.Path != "/v1/users" {
					return fmt.Errorf("the record is %s", out.String())
				}
				return nil
			},
		})
	}
	return []scenario{s}, nil
}

// requestLogger is what reqid.L gives within a request of user.
func requestLogger(base *slog.Logger, user string) (log *slog.Logger) {
	handler := reqid.Middleware(reqid.Logger(base))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reqid.SetUser(r.Context(), user)
		log = reqid.L(r.Context())
	}))
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("X-Request-ID", clientID)
	handler.ServeHTTP(httptest.NewRecorder(), request)
	return log
}
