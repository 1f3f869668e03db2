package integration_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

func TestSSE(t *testing.T) {
	overHTTP1 := func(tr *trial) client {
		return newEventsClient(&http.Transport{DialContext: tr.dial})
	}
	overHTTP2 := func(tr *trial) client {
		transport, _ := newHTTP2Transport(tr)
		return newEventsClient(transport)
	}
	run(t,
		framework{"net/http", func(t *testing.T, i *instance) {
			goHTTP(t, i, &http.Server{Handler: http.HandlerFunc(i.serveEvents)})
		}, []load{{3, 1, overHTTP1}}},
		framework{"net/http's h2c", func(t *testing.T, i *instance) {
			goHTTP(t, i, &http.Server{Handler: http.HandlerFunc(i.serveEvents), Protocols: h2cOnly()})
		}, []load{{3, 1, overHTTP2}}},
		framework{"gin", func(t *testing.T, i *instance) {
			gin.SetMode(gin.ReleaseMode)
			engine := gin.New()
			engine.GET("/", func(c *gin.Context) {
				leave, done, ok := i.streams.Stream()
				defer done()
				c.Stream(func(io.Writer) bool {
					if !ok {
						return false
					}
					c.SSEvent("", i.answer(c.Query("question")))
					return !leaves(c.Request.Context(), leave, c.Query("question"))
				})
			})
			goHTTP(t, i, &http.Server{Handler: engine})
		}, []load{{3, 1, overHTTP1}}},
	)
}

// serveEvents sends one answer after the other. A client may come back on the connection it has
// before it hears that the server closes it. Then its stream ends as it begins: after that, and not
// after an error, a browser's EventSource comes back again.
func (i *instance) serveEvents(w http.ResponseWriter, r *http.Request) {
	leave, done, ok := i.streams.Stream()
	defer done()
	question := r.FormValue("question")
	w.Header().Set("Content-Type", "text/event-stream")
	for ok {
		fmt.Fprintf(w, "data: %s\n\n", i.answer(question))
		if http.NewResponseController(w).Flush() != nil || leaves(r.Context(), leave, question) {
			return
		}
	}
}

// leaves pauses between two events, and reports whether there shall not be another one. There is
// none after the answer to a slow question, which may come before the stop tells the streams.
func leaves(ctx context.Context, leave <-chan struct{}, question string) bool {
	var next <-chan time.Time
	if question != slow {
		next = time.After(2 * time.Millisecond)
	}
	select {
	case <-leave:
		return true
	case <-ctx.Done():
		return true
	case <-next:
		return false
	}
}

// newEventsClient returns a client to which each event is an answer. It comes back when the stream
// ends as it should. Every other end is a loss.
func newEventsClient(transport *http.Transport) client {
	var told atomic.Int64
	var body io.ReadCloser
	var lines *bufio.Reader
	connect := func(ctx context.Context, question string) error {
		url := "http://example.com/?question=" + question
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return err
		}
		body, lines = resp.Body, bufio.NewReader(resp.Body)
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
	ask := func(ctx context.Context, question string) (string, error) {
		for {
			if body == nil {
				if err := connect(ctx, question); err != nil {
					return "", err
				}
			}
			line, err := lines.ReadString('\n')
			answer, ok := strings.CutPrefix(line, "data:")
			switch {
			case err == io.EOF && line == "": // ErrUnexpectedEOF is a loss
				told.Add(1)
				_ = body.Close()
				body = nil
			case err != nil:
				return "", err
			case ok:
				return strings.TrimSpace(answer), nil
			}
		}
	}
	return client{ask: ask, told: &told, close: func() {
		if body != nil {
			_ = body.Close()
		}
		transport.CloseIdleConnections()
	}}
}
