package reqid_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/gracekit/gracekit/reqid"
)

// newLogger leaves out what changes from run to run, so that the examples have an
// output to compare.
func newLogger() *slog.Logger {
	return slog.New(reqid.LogHandler(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" {
				return slog.Attr{}
			}
			return a
		},
	})))
}

// get sends a request with an ID to a handler and returns the answer.
func get(h http.Handler, path, id string) *http.Response {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("X-Request-ID", id)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// A server whose log lines, and whose answers, carry the ID of the request.
func Example() {
	log := newLogger()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "saying hello")
		fmt.Fprintln(w, "hello")
	})
	handler := reqid.Middleware()(mux)

	res := get(handler, "/hello", "abc-123")
	fmt.Println(res.Header.Get("X-Request-ID"))
	// Output:
	// level=INFO msg="saying hello" requestID=abc-123
	// abc-123
}

// accessLog writes one line a request, after it. It belongs directly inside
// reqid.Middleware and outside of the rest, so that it sees what a recovery
// middleware answers, and the user whom the authentication found.
func accessLog(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &responseRecorder{ResponseWriter: w}
		panicked := true
		defer func() { // also after a panic, which goes on to the server
			status := rec.status
			switch {
			case status != 0:
			case panicked:
				status = http.StatusInternalServerError
			default:
				status = http.StatusOK
			}
			log.LogAttrs(r.Context(), slog.LevelInfo, "request",
				slog.String("method", r.Method),
				slog.String("path", r.URL.Path), // without the query: it may hold secrets
				slog.Int("status", status),
				slog.Int64("bytes", rec.bytes),
				slog.Duration("duration", time.Since(start)))
		}()
		next.ServeHTTP(rec, r)
		panicked = false
	})
}

// responseRecorder remembers the status and size of a response.
type responseRecorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *responseRecorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		// 1xx are not the answer
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *responseRecorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find Flush, Hijack and the deadlines.
func (r *responseRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// An access log that is written after the handler has the request's ID and
// user, although the user becomes known only further inside.
func ExampleMiddleware_accessLog() {
	log := newLogger()
	authenticate := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reqid.SetUser(r.Context(), "alice") // after checking who it is
			next.ServeHTTP(w, r)
		})
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "hello")
	})
	handler := reqid.Middleware()(accessLog(log, authenticate(hello)))

	get(handler, "/hello", "abc-123")
	// Output:
	// level=INFO msg=request requestID=abc-123 username=alice method=GET path=/hello status=201 bytes=5
}

// Only clients of one's own network may choose an ID.
func ExampleTrust() {
	own := netip.MustParsePrefix("10.0.0.0/8")
	handler := reqid.Middleware(reqid.Trust(func(r *http.Request) bool {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		return err == nil && own.Contains(peer.Addr().Unmap())
	}))(http.NotFoundHandler())

	res := get(handler, "/", "chosen-by-a-stranger") // from 192.0.2.1
	fmt.Println(res.Header.Get("X-Request-ID") == "chosen-by-a-stranger")
	// Output: false
}

// The log line of a service that was called by another one: with the IDs of both, and of the first
// of all.
func ExampleChain() {
	n := 0
	numbered := reqid.Generator(func(context.Context) string { n++; return fmt.Sprint("id-", n) })
	log := newLogger()
	handler := reqid.Middleware(reqid.Chain(),
		numbered)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "served")
	}))

	get(handler, "/", "id-of-the-caller")
	// Output:
	// level=INFO msg=served requestID=id-1 parentRequestID=id-of-the-caller rootRequestID=id-of-the-caller
}

// The ID goes along to another service, if that is one of ours.
func ExampleTransport() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "upstream got ", r.Header.Get("X-Request-ID"))
	}))
	defer upstream.Close()
	client := &http.Client{
		Transport: reqid.Transport(nil, reqid.Hosts("127.0.0.1")),
		Timeout:   10 * time.Second,
	}
	defer client.CloseIdleConnections()

	handler := reqid.Middleware()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, upstream.URL, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		res, err := client.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		_, _ = io.Copy(w, res.Body)
	}))

	body, err := io.ReadAll(get(handler, "/", "abc-123").Body)
	fmt.Println(string(body), err)
	// Output: upstream got abc-123 <nil>
}

// A reverse proxy adds the headers of the upstream's response to those that are already there. If
// the upstream sends an ID, too, the client would get two but for the line in ModifyResponse.
func ExampleMiddleware_reverseProxy() {
	upstream := httptest.NewServer(reqid.Middleware()(http.NotFoundHandler()))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: reqid.Transport(nil, reqid.Hosts(target.Host)),

		ModifyResponse: func(r *http.Response) error { r.Header.Del("X-Request-ID"); return nil },
	}

	res := get(reqid.Middleware()(proxy), "/", "abc-123")
	fmt.Println(res.Status, res.Header.Values("X-Request-ID"))
	// Output: 404 Not Found [abc-123]
}

// Work that goes on after the response has been sent.
func ExampleDetach() {
	log := newLogger()
	var work sync.WaitGroup
	handler := reqid.Middleware()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := reqid.Detach(r.Context()) // r.Context() ends with the request
		work.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			log.InfoContext(ctx, "mail sent")
		})
		w.WriteHeader(http.StatusAccepted)
	}))

	get(handler, "/", "abc-123")
	work.Wait()
	// Output: level=INFO msg="mail sent" requestID=abc-123
}

// For code that logs without a context.
func ExampleL() {
	handler := reqid.Middleware(reqid.Logger(newLogger()))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reqid.L(r.Context()).Info("no context needed")
	}))

	get(handler, "/", "abc-123")
	// Output: level=INFO msg="no context needed" requestID=abc-123
}

// A job has no inbound request to take an ID from.
func ExampleNewContext() {
	log := newLogger()
	id := "nightly-2026-01-31" // or reqid.New()
	ctx, err := reqid.NewContext(context.Background(), id)
	if err != nil {
		fmt.Println(err)
		return
	}
	log.InfoContext(ctx, "job started")
	// Output: level=INFO msg="job started" requestID=nightly-2026-01-31
}

// The user is known only after the authentication; from then on the request's log lines name it.
func ExampleSetUser() {
	log := newLogger()
	ctx, err := reqid.NewContext(context.Background(), "abc-123")
	if err != nil {
		fmt.Println(err)
		return
	}
	if !reqid.SetUser(ctx, "alice") {
		fmt.Println("ctx belongs to no request")
	}
	log.InfoContext(ctx, "secret read")
	// Output: level=INFO msg="secret read" requestID=abc-123 username=alice
}

// The groups of a logger never swallow the ID.
func ExampleLogHandler() {
	log := newLogger()
	ctx, err := reqid.NewContext(context.Background(), "abc-123")
	if err != nil {
		fmt.Println(err)
		return
	}
	log.WithGroup("db").With("table", "users").InfoContext(ctx, "query", "rows", 3)
	// Output: level=INFO msg=query requestID=abc-123 db.table=users db.rows=3
}

// Inject and Extract with anything that has keys and values: here the headers of a message.
func ExampleInject() {
	sender, err := reqid.NewContext(context.Background(), "abc-123")
	if err != nil {
		fmt.Println(err)
		return
	}
	message := map[string]string{}
	reqid.Inject(sender, func(key, value string) { message[key] = value })

	receiver, err := reqid.Extract(context.Background(), func(key string) []string {
		if value, ok := message[key]; ok {
			return []string{value}
		}
		return nil
	})
	fmt.Println(reqid.FromContext(receiver), err)
	// Output: abc-123 <nil>
}

// What a tracing header says, and why it may not be used.
func ExampleParseTraceParent() {
	trace, err := reqid.ParseTraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	fmt.Println(trace.TraceID(), trace.Sampled(), err)
	_, err = reqid.ParseTraceParent("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	fmt.Println(err)
	// Output:
	// 4bf92f3577b34da6a3ce929d0e0e4736 true <nil>
	// reqid: invalid traceparent: "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f0"... (55 bytes): version ff is forbidden
}
