package response

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/jsonx"
	"github.com/gracekit/gracekit/reqid"
)

// A Writer writes all the answers of an API. It is safe for concurrent use.
type Writer struct {
	codes *Codes
	log   *slog.Logger
}

// NewWriter returns a Writer that knows these codes and logs what clients must not see. The logger
// needs a handler made by [reqid.LogHandler], so that its records have the request's ID.
func NewWriter(codes *Codes, log *slog.Logger) *Writer { return &Writer{codes: codes, log: log} }

// Write answers with data and the status 200, with 204 if data is nil, or with err if it is not
// nil.
func (w *Writer) Write(c *gin.Context, err error, data any) {
	w.WriteStatus(c, http.StatusOK, err, data)
}

// WriteStatus is Write with another status for success, such as 201.
//
// Of an error the client gets the outermost [Error] in it, if that is registered, and [ErrInternal]
// otherwise. The whole text of err is logged: as an error if the status is 500 or more, as a debug
// message if not, since then the client is to blame. The request ID is that of the request's
// context. No handler runs after an error: the request is aborted. A 429 or 503 has a Retry-After,
// of one second unless the handler has set another.
//
// If the answer has begun already, an error can only be logged.
func (w *Writer) WriteStatus(c *gin.Context, status int, err error, data any) {
	if err != nil {
		w.writeError(c, err)
		return
	}
	if data == nil {
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
		c.Status(status)
		c.Writer.WriteHeaderNow()
		return
	}
	// The whole document first: what has no JSON must become a 500, not half an answer.
	body, err := jsonx.Marshal(data)
	if err != nil {
		w.writeError(c, err)
		return
	}
	send(c, status, body)
}

func send(c *gin.Context, status int, body []byte) {
	const contentType = "application/json; charset=utf-8"
	c.Header("Content-Type", contentType) // Data leaves a type alone that a handler has set before
	c.Data(status, contentType, body)
}

// errorBody is the shape of every error.
type errorBody struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Reference string `json:"reference,omitempty"`
	RequestID string `json:"requestID,omitempty"`
}

func (w *Writer) writeError(c *gin.Context, err error) {
	c.Abort()
	ctx := c.Request.Context()
	e := w.public(ctx, err)
	level := slog.LevelDebug
	if e.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	w.log.LogAttrs(ctx, level, "request failed", slog.Int("code", e.Code), slog.Int("status", e.Status), slog.Any("error", err))
	if c.Writer.Written() {
		return
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		c.Writer.Header().Del(name) // they were meant for the answer that there will not be
	}
	c.Header("Cache-Control", "no-store") // whatever the handler meant to allow for its answer
	again := e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable
	if again && c.Writer.Header().Get("Retry-After") == "" { // who knows when, such as a limiter, has said so
		c.Header("Retry-After", "1")
	}
	body, err := jsonx.Marshal(errorBody{Code: e.Code, Message: e.Message, Reference: e.Reference, RequestID: reqid.FromContext(ctx)})
	if err != nil { // strings and a number always have JSON
		panic(err)
	}
	send(c, e.Status, body)
}

// public returns what the client may know of err.
func (w *Writer) public(ctx context.Context, err error) Error {
	// First whose fault it was: a store that gave up because the client had gone is no failure of
	// the store.
	switch {
	case errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled):
		return ErrClientGone // nothing else ends a request's context that way
	case errors.Is(err, context.DeadlineExceeded) && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ErrTimeout // the request's own; any other is a failure of ours
	}
	e, ok := of(err)
	if !ok {
		return ErrInternal
	}
	registered, known := w.codes.byCode[e.Code]
	if !known {
		w.log.ErrorContext(ctx, "an error whose code is not registered: give it to response.NewCodes", "code", e.Code)
		return ErrInternal
	}
	registered.Message = e.Message
	return registered
}
