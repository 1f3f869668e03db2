package integration_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	gorilla "github.com/gorilla/websocket"
)

func TestWebSocket(t *testing.T) {
	coderClients := []load{{3, 1, newWebSocketClient(dialCoder)}}
	gorillaClients := []load{{3, 1, newWebSocketClient(dialGorilla)}}
	run(t,
		framework{"coder", func(t *testing.T, i *instance) {
			goHTTP(t, i, &http.Server{Handler: webSocketHandler(i, acceptCoder)})
		}, coderClients},
		framework{"gorilla", func(t *testing.T, i *instance) {
			goHTTP(t, i, &http.Server{Handler: webSocketHandler(i, acceptGorilla)})
		}, gorillaClients},
		framework{"gorilla below gin", func(t *testing.T, i *instance) {
			gin.SetMode(gin.ReleaseMode)
			engine := gin.New()
			engine.GET("/", gin.WrapH(webSocketHandler(i, acceptGorilla)))
			goHTTP(t, i, &http.Server{Handler: engine})
		}, gorillaClients},
	)
}

// A webSocket is one end of a connection, by one of the libraries.
type webSocket interface {
	read() (string, error)
	write(message string) error
	sayGoingAway() // sends a close frame, 1001
	isGoingAway(err error) bool
	close()
}

type accept func(http.ResponseWriter, *http.Request) (webSocket, error)

// webSocketHandler answers each message, until it is time to leave. A message is taken when it is
// answered. What comes after the close frame was sent is not taken, as is usual: the client has
// to ask it again.
func webSocketHandler(i *instance, accept accept) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		leave, done, ok := i.streams.Stream()
		if !ok {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		defer done()
		ws, err := accept(w, r)
		if err != nil {
			return // it has answered
		}
		defer ws.close()
		questions := make(chan string)
		go func() {
			defer close(questions)
			for {
				question, err := ws.read()
				if err != nil {
					return
				}
				questions <- question
			}
		}()
		for {
			select {
			case question, ok := <-questions:
				if !ok {
					return
				}
				_ = ws.write(i.answer(question)) // read will fail, too
			case <-leave:
				said := make(chan struct{})
				go func() { defer close(said); ws.sayGoingAway() }()
				for range questions { // until the client has closed
				}
				<-said
				return
			}
		}
	}
}

// newWebSocketClient returns a client that comes back when it is told that the server goes away.
// Every other end is a loss.
func newWebSocketClient(dial func(context.Context, *trial) (webSocket, error)) func(*trial) client {
	return func(tr *trial) client {
		var told atomic.Int64
		var ws webSocket
		ask := func(ctx context.Context, question string) (string, error) {
			for {
				if ws == nil {
					dialed, err := dial(ctx, tr)
					if err != nil {
						return "", err
					}
					ws = dialed
				}
				unwatch := context.AfterFunc(ctx, ws.close)
				written := ws.write(question) // if that fails, read says why
				answer, err := ws.read()
				unwatch()
				if err == nil {
					return answer, nil
				}
				if !ws.isGoingAway(err) {
					return "", errors.Join(written, err)
				}
				told.Add(1)
				ws.close()
				ws = nil
			}
		}
		return client{ask: ask, told: &told, close: func() {
			if ws != nil {
				ws.close()
			}
		}}
	}
}

type coderSocket struct{ *coder.Conn }

func acceptCoder(w http.ResponseWriter, r *http.Request) (webSocket, error) {
	c, err := coder.Accept(w, r, nil)
	return coderSocket{c}, err
}

func dialCoder(ctx context.Context, tr *trial) (webSocket, error) {
	httpClient := &http.Client{Transport: &http.Transport{DialContext: tr.dial}}
	c, _, err := coder.Dial(ctx, "ws://example.com", &coder.DialOptions{HTTPClient: httpClient})
	return coderSocket{c}, err
}

func (s coderSocket) read() (string, error) {
	_, message, err := s.Read(context.Background())
	return string(message), err
}

func (s coderSocket) write(message string) error {
	return s.Write(context.Background(), coder.MessageText, []byte(message))
}

func (s coderSocket) sayGoingAway() { _ = s.Close(coder.StatusGoingAway, "") }

func (s coderSocket) isGoingAway(err error) bool {
	return coder.CloseStatus(err) == coder.StatusGoingAway
}

func (s coderSocket) close() { _ = s.CloseNow() }

type gorillaSocket struct{ *gorilla.Conn }

func acceptGorilla(w http.ResponseWriter, r *http.Request) (webSocket, error) {
	c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
	return gorillaSocket{c}, err
}

func dialGorilla(ctx context.Context, tr *trial) (webSocket, error) {
	dialer := gorilla.Dialer{NetDialContext: tr.dial}
	c, _, err := dialer.DialContext(ctx, "ws://example.com", nil)
	return gorillaSocket{c}, err
}

func (s gorillaSocket) read() (string, error) {
	_, message, err := s.ReadMessage()
	return string(message), err
}

func (s gorillaSocket) write(message string) error {
	return s.WriteMessage(gorilla.TextMessage, []byte(message))
}

func (s gorillaSocket) sayGoingAway() {
	const patience = 5 * time.Second // for the client's close frame
	_ = s.SetReadDeadline(time.Now().Add(patience))
	frame := gorilla.FormatCloseMessage(gorilla.CloseGoingAway, "")
	_ = s.WriteControl(gorilla.CloseMessage, frame, time.Now().Add(patience))
}

func (s gorillaSocket) isGoingAway(err error) bool {
	return gorilla.IsCloseError(err, gorilla.CloseGoingAway)
}

func (s gorillaSocket) close() { _ = s.Close() }
