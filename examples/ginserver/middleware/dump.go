package middleware

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// DumpConfig says how much of requests and answers is logged.
type DumpConfig struct {
	MaxBody int      `yaml:"maxBody"` // bytes of each body; 0 leaves bodies out
	Redact  []string `yaml:"redact"`  // headers that hold secrets, besides those that always do
}

// Dump logs the headers and the beginning of the bodies of every request and answer, to see what a
// client really sends. It is made for a developer's machine: bodies hold passwords and personal
// data, so it returns an error in release mode.
//
// Headers that hold credentials are not shown. Bodies are copied while the handler reads and writes
// them, so that nothing is delayed, and no more than maxBody of them is held. What a handler does
// not read is not shown, nor is the query, which may hold secrets.
func Dump(release bool, config DumpConfig, log *slog.Logger) (gin.HandlerFunc, error) {
	switch {
	case release:
		return nil, errors.New("it logs what clients send, and refuses to work in release mode: remove it, or set the mode to debug")
	case config.MaxBody < 0:
		return nil, fmt.Errorf("maxBody is %d, must not be negative", config.MaxBody)
	}
	secret := []string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"}
	for _, name := range config.Redact {
		secret = append(secret, http.CanonicalHeaderKey(name))
	}
	return func(c *gin.Context) {
		sent := &beginning{max: config.MaxBody}
		c.Request.Body = &dumpBody{ReadCloser: c.Request.Body, copy: sent}
		answered := &dumpWriter{ResponseWriter: c.Writer, copy: beginning{max: config.MaxBody}}
		c.Writer = answered
		requestHeader := redact(c.Request.Header, secret) // now: a handler may change it
		finished := false
		defer func() {
			c.Writer = answered.ResponseWriter
			status := answered.Status()
			if !finished { // a panic, which Recovery around this answers
				status = http.StatusInternalServerError
			}
			log.LogAttrs(c.Request.Context(), slog.LevelInfo, "dump",
				slog.Group("request", slog.String("method", c.Request.Method), slog.String("path", c.Request.URL.Path),
					slog.Any("header", requestHeader), slog.String("body", sent.String())),
				slog.Group("response", slog.Int("status", status),
					slog.Any("header", redact(answered.Header(), secret)), slog.String("body", answered.copy.String())))
		}()
		c.Next()
		finished = true
	}, nil
}

func redact(header http.Header, secret []string) http.Header {
	shown := header.Clone()
	for name := range shown {
		if slices.Contains(secret, http.CanonicalHeaderKey(name)) {
			shown[name] = []string{"(redacted)"}
		}
	}
	return shown
}

// A beginning holds the first max bytes of what is written to it, and counts the rest.
type beginning struct {
	max  int
	held []byte
	more int64
}

func (b *beginning) add(p []byte) {
	n := min(len(p), b.max-len(b.held))
	b.held = append(b.held, p[:n]...)
	b.more += int64(len(p) - n)
}

func (b *beginning) String() string {
	if b.more > 0 {
		return fmt.Sprintf("%s… (%d bytes more)", b.held, b.more)
	}
	return string(b.held)
}

type dumpBody struct {
	io.ReadCloser
	copy *beginning
}

func (b *dumpBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.copy.add(p[:n])
	return n, err
}

type dumpWriter struct {
	gin.ResponseWriter
	copy beginning
}

func (w *dumpWriter) Write(p []byte) (int, error) {
	w.copy.add(p)
	return w.ResponseWriter.Write(p)
}

func (w *dumpWriter) WriteString(s string) (int, error) {
	w.copy.add([]byte(s))
	return w.ResponseWriter.WriteString(s)
}

// Unwrap is for [http.ResponseController].
func (w *dumpWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
