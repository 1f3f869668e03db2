package reqid_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/gracekit/gracekit/reqid"
)

// OpenTelemetry: otelhttp goes around Middleware, and Span makes the trace ID the request ID, also
// where the trace begins here.
func Example_otelhttp() {
	provider := sdktrace.NewTracerProvider()
	defer func() { _ = provider.Shutdown(context.Background()) }()
	var traceID string
	hello := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		traceID = trace.SpanContextFromContext(r.Context()).TraceID().String()
	})
	withID := reqid.Middleware(reqid.Span(func(ctx context.Context) string {
		return trace.SpanContextFromContext(ctx).TraceID().String()
	}))
	handler := otelhttp.NewHandler(withID(hello), "hello", otelhttp.WithTracerProvider(provider))

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)) // no traceparent came in
	fmt.Println(len(traceID), w.Header().Get("X-Request-ID") == traceID)
	// Output: 32 true
}
