package chirequestid

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
