package chirequestid

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

// Both answer and log the ID that a client sends, and one of their own where it sends none.
func TestAnswerAndLog(t *testing.T) {
	for name, handler := range map[string]func(*slog.Logger) http.Handler{"before": before, "after": after} {
		for _, sent := range []string{"", "from-the-client"} {
			t.Run(name+" "+sent, func(t *testing.T) {
				var log bytes.Buffer
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
				if sent != "" {
					r.Header.Set("X-Request-Id", sent)
				}
				w := httptest.NewRecorder()
				handler(slog.New(slog.NewJSONHandler(&log, nil))).ServeHTTP(w, r)

				answered := w.Header().Get("X-Request-Id")
				require.NotEmpty(t, answered)
				if sent != "" {
					assert.Equal(t, sent, answered)
				}
				var record struct{ RequestID string }
				require.NoError(t, json.Unmarshal(log.Bytes(), &record))
				assert.Equal(t, answered, record.RequestID)
			})
		}
	}
}

// What before takes as it is and after replaces.
func TestOddIDs(t *testing.T) {
	for what, sent := range map[string][]string{
		"a space":   {"a b"},
		"a forgery": {`","level":"error`},
		"too long":  {strings.Repeat("x", 129)},
		"two":       {"first", "second"},
	} {
		for name, handler := range map[string]func(*slog.Logger) http.Handler{"before": before, "after": after} {
			t.Run(what+" "+name, func(t *testing.T) {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
				r.Header["X-Request-Id"] = sent
				w := httptest.NewRecorder()
				handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, r)

				answered := w.Header().Get("X-Request-Id")
				if name == "before" {
					assert.Equal(t, sent[0], answered)
				} else {
					assert.Regexp(t, "^[0-9a-f]{32}$", answered)
				}
			})
		}
	}
}

func TestGetReqID(t *testing.T) {
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"without": func(next http.Handler) http.Handler { return next }, "with": afterGetReqID,
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			handler := reqid.Middleware()(wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = middleware.GetReqID(r.Context())
			})))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			if name == "without" {
				assert.Empty(t, got)
			} else {
				assert.Equal(t, w.Header().Get("X-Request-Id"), got)
			}
		})
	}
}
