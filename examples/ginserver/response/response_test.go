package response_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/reqid"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

var (
	errFull  = response.Error{Code: 110001, Status: http.StatusConflict, Message: "it is full", Reference: "https://example.com/full"}
	errAlien = response.Error{Code: 990001, Status: http.StatusTeapot, Message: "an internal matter"}
)

// answer is what a client gets from a handler, and what the log says about it.
func answer(t *testing.T, ctx context.Context, handler func(*response.Writer, *gin.Context)) (got *httptest.ResponseRecorder, log string) {
	t.Helper()
	codes, err := response.NewCodes(errFull)
	require.NoError(t, err)
	var records bytes.Buffer
	w := response.NewWriter(codes, slog.New(reqid.LogHandler(slog.NewTextHandler(&records, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { handler(w, c) }, func(c *gin.Context) { c.Header("Next", "ran") })
	ctx, err = reqid.NewContext(ctx, "the-id")
	require.NoError(t, err)
	got = httptest.NewRecorder()
	engine.ServeHTTP(got, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	return got, records.String()
}

func TestSuccess(t *testing.T) {
	tests := []struct {
		name   string
		write  func(*response.Writer, *gin.Context)
		status int
		body   string
	}{
		{"data", func(w *response.Writer, c *gin.Context) { w.Write(c, nil, gin.H{"a": 1}) }, 200, `{"a":1}`},
		{"no data", func(w *response.Writer, c *gin.Context) { w.Write(c, nil, nil) }, 204, ""},
		{"created", func(w *response.Writer, c *gin.Context) { w.WriteStatus(c, 201, nil, []int{1}) }, 201, `[1]`},
		{"accepted without data", func(w *response.Writer, c *gin.Context) { w.WriteStatus(c, 202, nil, nil) }, 202, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, log := answer(t, t.Context(), tt.write)
			assert.Equal(t, tt.status, got.Code)
			assert.Equal(t, tt.body, got.Body.String())
			if tt.body != "" {
				assert.Equal(t, "application/json; charset=utf-8", got.Header().Get("Content-Type"))
			}
			assert.Empty(t, log)
		})
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.7:5432: password of svc_notes is wrong")
	const internal = `{"code":100001,"message":"internal error","requestID":"the-id"}`
	tests := []struct {
		name   string
		err    error
		status int
		body   string
		level  string
	}{
		{"registered", errFull, 409, `{"code":110001,"message":"it is full","reference":"https://example.com/full","requestID":"the-id"}`, "DEBUG"},
		{"with a cause", fmt.Errorf("list: %w: %w", errFull, cause), 409,
			`{"code":110001,"message":"it is full","reference":"https://example.com/full","requestID":"the-id"}`, "DEBUG"},
		{"with a detail", fmt.Errorf("%w: %w", errFull.Detail("%d of %d", 3, 3), cause), 409,
			`{"code":110001,"message":"3 of 3","reference":"https://example.com/full","requestID":"the-id"}`, "DEBUG"},
		{"joined", errors.Join(cause, errFull), 409,
			`{"code":110001,"message":"it is full","reference":"https://example.com/full","requestID":"the-id"}`, "DEBUG"},
		{"a status that was changed", response.Error{Code: 110001, Status: 200, Message: "it is full"}, 409,
			`{"code":110001,"message":"it is full","reference":"https://example.com/full","requestID":"the-id"}`, "DEBUG"},
		{"no code", cause, 500, internal, "ERROR"},
		{"not registered", fmt.Errorf("%w: %w", errAlien, cause), 500, internal, "ERROR"},
		{"somebody's deadline", fmt.Errorf("query: %w", context.DeadlineExceeded), 500, internal, "ERROR"},
		{"somebody's cancellation", fmt.Errorf("query: %w", context.Canceled), 500, internal, "ERROR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, log := answer(t, t.Context(), func(w *response.Writer, c *gin.Context) {
				c.Header("Content-Length", "7") // of the answer that there will not be
				c.Header("Etag", "x")
				c.Header("Content-Type", "text/csv")
				c.Header("Cache-Control", "public, max-age=3600")
				w.Write(c, tt.err, gin.H{"never": "sent"})
			})
			assert.Equal(t, tt.status, got.Code)
			assert.Equal(t, tt.body, got.Body.String())
			assert.Empty(t, got.Header().Get("Etag"))
			assert.Equal(t, "application/json; charset=utf-8", got.Header().Get("Content-Type"))
			assert.Equal(t, "no-store", got.Header().Get("Cache-Control"))
			assert.Equal(t, strconv.Itoa(got.Body.Len()), got.Header().Get("Content-Length"))
			assert.Empty(t, got.Header().Get("Next"), "the handlers after it ran")
			assert.Contains(t, log, "level="+tt.level+` msg="request failed" requestID=the-id `)
			if errors.Is(tt.err, cause) {
				assert.Contains(t, log, "svc_notes", "the cause is for the log")
			}
		})
	}
}

// Every answer that says "come again later" says when.
func TestRetryAfter(t *testing.T) {
	for name, tt := range map[string]struct {
		err       error
		set, want string
	}{
		"429":               {response.ErrTooManyRequests.Detail("wait"), "", "1"},
		"503":               {fmt.Errorf("%w: full", response.ErrUnavailable), "", "1"},
		"who knows when":    {response.ErrTooManyRequests, "7", "7"},
		"another status":    {errFull, "", ""},
		"a failure of ours": {errors.New("broken"), "", ""},
		"it took too long":  {response.ErrTimeout, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := answer(t, t.Context(), func(w *response.Writer, c *gin.Context) {
				c.Header("Retry-After", tt.set) // gin deletes a header without a value
				w.Write(c, tt.err, nil)
			})
			assert.Equal(t, tt.want, got.Header().Get("Retry-After"))
		})
	}
}

// Who ended the request's context decides whose fault it is, whatever the code around says.
func TestContextOfTheRequest(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		status int
		code   string
	}{{"the client has gone", gone, 499, "100012"}, {"too late", late, 504, "100011"}} {
		t.Run(tt.name, func(t *testing.T) {
			for _, err := range []error{tt.ctx.Err(), fmt.Errorf("%w: %w", errFull, tt.ctx.Err())} {
				got, _ := answer(t, tt.ctx, func(w *response.Writer, c *gin.Context) { w.Write(c, err, nil) })
				assert.Equal(t, tt.status, got.Code)
				assert.Contains(t, got.Body.String(), tt.code)
			}
		})
	}
}

func TestDataWithoutJSONIsAnInternalError(t *testing.T) {
	got, log := answer(t, t.Context(), func(w *response.Writer, c *gin.Context) { w.Write(c, nil, make(chan int)) })
	assert.Equal(t, 500, got.Code)
	assert.JSONEq(t, `{"code":100001,"message":"internal error","requestID":"the-id"}`, got.Body.String())
	assert.Contains(t, log, "chan int")
}

func TestErrorAfterTheAnswerBegan(t *testing.T) {
	got, log := answer(t, t.Context(), func(w *response.Writer, c *gin.Context) {
		c.String(http.StatusOK, "some")
		w.Write(c, errors.New("too late"), nil)
	})
	assert.Equal(t, 200, got.Code)
	assert.Equal(t, "some", got.Body.String())
	assert.Contains(t, log, "too late")
}

func TestErrorsIs(t *testing.T) {
	assert.ErrorIs(t, fmt.Errorf("a: %w", errFull.Detail("b")), errFull)
	assert.NotErrorIs(t, errFull, errAlien)
	assert.NotErrorIs(t, errors.New("it is full"), errFull)
}

func TestCodes(t *testing.T) {
	tests := []struct {
		name string
		own  []response.Error
		want string
	}{
		{"twice", []response.Error{errFull, {Code: 110001, Status: 400, Message: "other"}},
			`response: code 110001 is registered twice: "it is full" and "other"`},
		{"one of ours", []response.Error{{Code: 100001, Status: 400, Message: "mine"}},
			`response: code 100001 is registered twice: "internal error" and "mine"`},
		{"no code", []response.Error{{Status: 400, Message: "m"}}, `response: code 0 ("m"): must be positive`},
		{"a status of success", []response.Error{{Code: 110001, Status: 200, Message: "m"}}, `response: code 110001 ("m"): status is 200, must be 400 to 599`},
		{"no message", []response.Error{{Code: 110001, Status: 400, Message: " "}}, `response: code 110001: has no message`},
		{"two problems", []response.Error{{Code: 1}, {}}, "response: code 1 (\"\"): status is 0, must be 400 to 599\n" + `response: code 0 (""): must be positive`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := response.NewCodes(tt.own...)
			assert.EqualError(t, err, tt.want)
		})
	}
	codes, err := response.NewCodes(errFull)
	require.NoError(t, err)
	all := codes.All()
	assert.Len(t, all, len(response.Common())+1)
	assert.Equal(t, errFull, all[len(all)-1])
}
