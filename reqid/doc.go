// Package reqid follows one request through all the logs: it gives every request an ID, puts it
// into the request's context and header, the response header, every log record and the calls the
// request makes to other services.
//
//	logger := slog.New(reqid.LogHandler(slog.NewJSONHandler(os.Stdout, nil)))
//	client := &http.Client{Transport: reqid.Transport(nil, reqid.Hosts("*.svc.cluster.local"))}
//	handler := reqid.Middleware()(mux)
//
// The nearest relative is an OpenTelemetry trace. Where one is collected, its trace ID already does
// this work, and [Span] makes both the same; this package is for everyone who wants to grep one ID
// through the logs and nothing else. A request ID proves nothing: it must not be used for
// authorization, nor as an idempotency key.
//
// # Which function
//
//	in a server                         Middleware
//	in a job, a command, a test         NewContext(ctx, New())
//	in a gRPC or message consumer       Extract
//	in a gRPC or message producer       Inject
//	in an HTTP client                   Transport
//	in a reverse proxy                  Middleware, Transport, and a line in ModifyResponse
//	for the logs                        LogHandler, once, where the logger is made
//	in code that logs without context   L(ctx).Info(…)
//	after authentication                SetUser
//	for work that outlives the request  Detach
//	beside OpenTelemetry                Span
//
// # Frameworks
//
// Middleware goes around anything that is an [http.Handler]. That is what chi's Use takes, too.
//
// A gin.Engine is one: serve reqid.Middleware()(engine). (gin.WrapH cannot make a gin middleware of
// it: the handlers after it would run outside.) A *gin.Context answers for the context of its
// request only if the engine says so, and is empty without any error if it does not:
//
//	engine.ContextWithFallback = true // for log.InfoContext(c, …) and reqid.FromContext(c)
//	server.Handler = reqid.Middleware()(engine)
//
// c.Request.Context() works in either case. gin uses c again for another request, so work that
// outlives the handler takes Detach(c.Request.Context()).
//
// A server that is not of net/http, such as fasthttp or fiber, calls [Extract] with a function that
// returns its headers.
//
// # What is adopted
//
// Exactly one inbound X-Request-ID that is [Valid] and comes from a trusted peer is adopted.
// Anything else (none, two, too long, odd characters) is replaced by a fresh ID. It is never
// refused with an error status and never logged, so that a client can neither forge log lines nor
// fill them.
//
// # Chains
//
// With [Chain] every service mints an ID of its own, and three attributes tie the services together
// at a constant cost a hop: requestID (of this hop), parentRequestID (of the hop that called it)
// and rootRequestID (of the first hop). On the wire X-Request-ID is the ID of the caller and
// X-Root-Request-ID that of the first hop; [Transport] and [Inject] send both. A first hop is its
// own root. A caller that sends no root is taken as the root. So one query for a rootRequestID
// finds the lines of all services, and the parents give the tree. A service without Chain in
// between passes the root on.
//
// # Trace context
//
// The traceparent header of a trusted peer, the tracestate that belongs to it and its baggage are
// passed on unchanged by [Transport] and [Inject], as [W3C Trace Context] asks of a service that
// records no spans of its own. What an outbound request already carries is left alone, so that a
// tracing library may be used beside this package; see [Transport] for which goes around which. A
// traceparent of more than 512 bytes, a tracestate of more than 4,096 and baggage of more than
// 8,192 are dropped.
//
// # Concurrency
//
// Everything here is safe for concurrent use. The package starts no goroutine and logs nothing by
// itself, so there is nothing to stop.
//
// [W3C Trace Context]: https://www.w3.org/TR/trace-context-2/
package reqid
