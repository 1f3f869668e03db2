// Package reqid follows one request through all the logs: it gives every request an ID,
// puts it into the request's context, the response header, every log record and the
// calls the request makes to other services.
//
//	logger := slog.New(reqid.LogHandler(slog.NewJSONHandler(os.Stdout, nil)))
//	client := &http.Client{Transport: reqid.Transport(nil, reqid.Hosts("*.svc.cluster.local"))}
//	handler := reqid.Middleware()(mux)
//
// The nearest relative is an OpenTelemetry trace. Where one is collected, its trace-id
// already does this work, and [AdoptTrace] makes both the same; this package is for
// everyone who wants to grep one ID through the logs and nothing else. A request ID
// proves nothing: it must not be used for authorization, nor as an idempotency key.
//
// # Which function
//
//	in a server                         Middleware
//	in a job, a command, a test         NewContext(ctx, New())
//	in a gRPC or message consumer       Extract
//	in a gRPC or message producer       Inject
//	in an HTTP client                   Transport
//	for the logs                        LogHandler, once, where the logger is made
//	in code that logs without context   L(ctx).Info(…)
//	after authentication                SetUser
//	for work that outlives the request  Detach
//
// # What is adopted
//
// Exactly one inbound X-Request-ID that is [Valid] and comes from a trusted peer is
// adopted. Anything else (none, two, too long, odd characters) is replaced by a fresh
// ID. It is never refused with an error status and never logged, so that a client can
// neither forge log lines nor fill them.
//
// # Chains
//
// With [Chain] every service mints an ID of its own, and three attributes tie the
// services together at a constant cost a hop: requestID (of this hop), parentRequestID
// (of the hop that called it) and rootRequestID (of the first hop). On the wire
// X-Request-ID is the ID of the caller and X-Root-Request-ID that of the first hop;
// [Transport] and [Inject] send both. A first hop is its own root. A caller that sends
// no root is taken as the root. So one query for a rootRequestID finds the lines of all
// services, and the parents give the tree.
//
// # Trace context
//
// A traceparent header of a trusted peer and the tracestate that belongs to it are
// passed on unchanged by [Transport] and [Inject], as [W3C Trace Context] asks of a
// service that records no spans of its own. What an outbound request already carries is
// left alone, so that a tracing library may be used beside this package; see
// [Transport] for which goes around which. A traceparent of more than 512 bytes is
// dropped, and so is a tracestate of more than 4,096.
//
// # Concurrency
//
// Everything here is safe for concurrent use. The package starts no goroutine and logs
// nothing by itself, so there is nothing to stop.
//
// [W3C Trace Context]: https://www.w3.org/TR/trace-context-2/
package reqid
