package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/gin-contrib/requestid"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5/middleware"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/gracekit/gracekit/reqid"
)

const clientID = "123e4567-e89b-12d3-a456-426614174000"

func reqidScenarios(ctx context.Context, _ config, _ io.Writer) ([]scenario, error) {
	ways := requestIDWays(ctx)
	requests := scenario{name: "a request without an ID", unit: nanoseconds}
	adopted := scenario{name: "a request with an ID", unit: nanoseconds}
	for _, w := range ways {
		requests.contestants = append(requests.contestants, w.contestant(http.Header{}))
		inbound := http.Header{"X-Request-Id": {clientID}}
		if w.traces {
			inbound = http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
		}
		adopted.contestants = append(adopted.contestants, w.contestant(inbound))
	}
	logs, err := logScenarios()
	return append([]scenario{requests, adopted}, logs...), err
}

// A requestIDWay gives each request an ID; last is that which the handler has seen.
type requestIDWay struct {
	name, module, note, unranked string
	traces                       bool // it knows traceparent instead of X-Request-ID
	handler                      http.Handler
	last                         *string
}

func requestIDWays(ctx context.Context) []requestIDWay {
	var ids [5]string // one goroutine at a time serves requests
	gin.SetMode(gin.ReleaseMode)
	withGin, ginAlone := gin.New(), gin.New()
	withGin.Use(requestid.New())
	withGin.GET("/", func(c *gin.Context) { ids[2] = requestid.Get(c) })
	ginAlone.GET("/", func(*gin.Context) {})

	provider := sdktrace.NewTracerProvider() // its spans go nowhere
	context.AfterFunc(ctx, func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) })
	return []requestIDWay{
		{name: "gracekit reqid.Middleware", module: gracekit, last: &ids[0],
			handler: reqid.Middleware()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ids[0] = reqid.FromContext(r.Context()) }))},
		{name: "chi RequestID", module: "github.com/go-chi/chi/v5", last: &ids[1], note: "counts up after a prefix with the name of the host",
			handler: middleware.RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ids[1] = middleware.GetReqID(r.Context()) }))},
		{name: "chi RequestID, answered", module: "github.com/go-chi/chi/v5", last: &ids[4], note: "with the line that its users add",
			handler: middleware.RequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(middleware.RequestIDHeader, middleware.GetReqID(r.Context()))
				ids[4] = middleware.GetReqID(r.Context())
			}))},
		{name: "gin-contrib/requestid", module: "github.com/gin-contrib/requestid", last: &ids[2], note: "gin's own work included; it is in the next row",
			handler: withGin},
		{name: "gin without it", module: "github.com/gin-gonic/gin", unranked: "for the row above", handler: ginAlone},
		{name: "otelhttp", module: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", last: &ids[3], traces: true, note: "makes a span, too; its ID is the trace's",
			handler: otelhttp.NewHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				ids[3] = trace.SpanContextFromContext(r.Context()).TraceID().String()
			}), "bench", otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{}))},
	}
}

func (w requestIDWay) contestant(header http.Header) contestant {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header = header
	empty := len(header) == 0
	writer := &headerWriter{http.Header{}}
	c := contestant{name: w.name, module: w.module, note: w.note, unranked: w.unranked, op: func() error {
		clear(writer.header)
		if empty {
			clear(request.Header) // gin-contrib has put its ID into it
		}
		w.handler.ServeHTTP(writer, request)
		return nil
	}}
	if w.last != nil {
		c.check, c.lacks = w.check, w.lacks
	}
	return c
}

func (w requestIDWay) serve(header http.Header) (seen, answered string) {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header = header
	writer := &headerWriter{http.Header{}}
	w.handler.ServeHTTP(writer, request)
	return *w.last, writer.header.Get("X-Request-ID")
}

func (w requestIDWay) check() error {
	first, _ := w.serve(http.Header{})
	second, _ := w.serve(http.Header{})
	if first == "" || first == second {
		return fmt.Errorf("two requests got the IDs %q and %q", first, second)
	}
	return nil
}

func (w requestIDWay) lacks() (lacks []string) {
	seen, answered := w.serve(http.Header{"X-Request-Id": {clientID}})
	if seen != clientID {
		lacks = append(lacks, "taking over X-Request-ID")
	}
	if answered == "" {
		lacks = append(lacks, "the ID in the response")
	}
	const forged = `","level":"error`
	if seen, _ = w.serve(http.Header{"X-Request-Id": {forged}}); seen == forged {
		lacks = append(lacks, "validation")
	}
	return lacks
}

// headerWriter is a ResponseWriter whose header can be emptied and used again.
type headerWriter struct{ header http.Header }

func (w *headerWriter) Header() http.Header         { return w.header }
func (w *headerWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *headerWriter) WriteHeader(int)             {}
