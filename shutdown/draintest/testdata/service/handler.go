package main

import (
	"bufio"
	"bytes"
	"crypto/sha1" // RFC 6455 wants it
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"
)

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", s.echo)
	mux.HandleFunc("GET /{$}", s.echo)
	mux.HandleFunc("POST /slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(200 * time.Millisecond) // some are always in flight
		s.echo(w, r)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.unready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) {
		line := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		for range 128 { // 8 MiB
			_, _ = w.Write(line)
		}
	})
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /ws", s.webSocket)
	mux.HandleFunc("POST /grpc.health.v1.Health/Check", s.check)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.fault == "goaway" && r.ProtoMajor == 2 && s.unready.Load() {
			w.Header().Set("Connection", "close") // net/http makes a GOAWAY of it
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *service) echo(w http.ResponseWriter, r *http.Request) {
	log.Print("request ", r.URL.Path)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	time.Sleep(2 * time.Millisecond) // its work
	_, _ = w.Write(body)
}

func (s *service) events(w http.ResponseWriter, r *http.Request) {
	leave, done, _ := s.streams.Stream()
	defer done()
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	_, _ = io.WriteString(w, ": begin\n\n")
	_ = flusher.Flush()
	if s.fault == "drops-events" {
		leave = s.leave
	}
	select {
	case <-leave:
		if s.fault == "drops-events" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "retry: 100\n\n")
	case <-r.Context().Done():
	}
}

func (s *service) webSocket(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	leave, done, _ := s.streams.Stream()
	defer done()
	const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + magic))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, bufio.NewReader(conn))
	}()
	select {
	case <-leave:
		_, _ = conn.Write([]byte{0x88, 2, 1001 >> 8, 1001 & 0xff})
	case <-closed:
	}
}

// check is gRPC's health check, by hand.
func (s *service) check(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		return
	}
	status := byte(1) // SERVING
	if s.unready.Load() {
		status = 2
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, status})
	w.Header().Set("Grpc-Status", "0")
}
