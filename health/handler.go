package health

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Handler serves the checks of this kind. Mount it for the endpoint and for the single checks
// below:
//
//	ready := registry.Handler(health.Ready)
//	mux.Handle("/readyz", ready)
//	mux.Handle("/readyz/{name}", ready)
//
// It answers GET and HEAD with 200 if the report is up and with 503 otherwise; a single check by
// its own state, even if it is Optional. A name that no check of this kind has is answered with
// 404, another method with 405.
//
// Below a pattern such as /readyz/, /readyz/* or /readyz/{rest...}, and with a router that does not
// set [http.Request.Pattern] (gin, echo v4, gorilla/mux), the last element of the path is the name
// of a check. These are the endpoint itself, unless a check has that name: livez, readyz, startupz,
// healthz, live, ready, startup, health. For another path use [http.StripPrefix].
//
//	?verbose         every check, also if all is well
//	?exclude=a,b     as if these checks did not exist, for this answer alone; the body reports names
//	                 that no check has, at most ten
//	?page=2          of the page for browsers, which has 200 checks at a time
//
// The body is plain text, or JSON on "Accept: application/json" or application/health+json, or on
// "Accept: text/html", as browsers send it, a page. The page says whose it is (see [Service]), when
// each state began, how long the last runs took and how they ended, and what is running now. It
// needs no script and no other resource, and reloads itself every five seconds. It links to the
// single checks, and to the other endpoints that have a Handler if they are called livez, readyz
// and startupz, or live, ready and startup. Bodies give names and states to anyone who asks; see
// [Details] for the errors.
//
// The JSON is one object, with times as in RFC 3339, in UTC:
//
//	kind, state        of the endpoint; the state of the check if it is for a single one
//	started            whether Run was called
//	checks             an array of objects, in the order in which they were added:
//	  name, state
//	  since            when it came into this state
//	  optional         true; missing if it is not
//	  runningSince     when the run in progress began; missing if there is none
//	  lastRun          when the last run with a result began; missing if there was none
//	  lastDurationMs   how long that took, in milliseconds
//	  error            the first line of why it failed; only with Details
//	unknownExcludes    names in ?exclude= that no check here has, in quotes; missing if none
//
// Answers come from the last results; only [OnDemand] checks make a request wait, and none while
// draining. A request that ends before they do is answered with 503. Handler panics if kind is not
// Live, Ready, Startup or several of them.
func (r *Registry) Handler(kind Kind, opts ...HandlerOption) http.Handler {
	mustBeKind("Handler", kind)
	h := &handler{registry: r, kind: kind}
	h.config.service, h.config.version = buildName()
	h.config.host, _ = os.Hostname()
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&h.config)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served |= kind
	return h
}

// A HandlerOption changes how [Registry.Handler] works. A nil HandlerOption is skipped.
type HandlerOption interface{ apply(*handlerConfig) }

type handlerConfig struct {
	details                bool
	service, version, host string
}

type handlerOptionFunc func(*handlerConfig)

func (f handlerOptionFunc) apply(c *handlerConfig) { f(c) }

// Details adds to bodies the first line, of at most 500 bytes, of the error of each failed run.
// Errors name hosts, users and queries: use it for an endpoint that only operators reach.
func Details() HandlerOption {
	return handlerOptionFunc(func(c *handlerConfig) { c.details = true })
}

// Service sets the name and version that the page shows. The default is what
// [debug.ReadBuildInfo] says. The version may be empty; Service panics if the name is.
func Service(name, version string) HandlerOption {
	if name == "" {
		panic(fmt.Sprintf("health: Service(%q, %q): expected a name", name, version))
	}
	return handlerOptionFunc(func(c *handlerConfig) { c.service, c.version = name, version })
}

// buildName returns the name and version of this program, as far as the build has recorded them.
func buildName() (name, version string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", ""
	}
	dir, name := path.Split(info.Path)
	if strings.TrimLeft(name, "v0123456789") == "" { // a major version: example.com/service/v2
		name = path.Base(dir)
	}
	if info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	return name, version
}

type handler struct {
	registry *Registry
	kind     Kind
	config   handlerConfig
}

// All answers share these values; net/http only reads them.
var (
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
	varyOn    = []string{"Accept"}
	textType  = []string{"text/plain; charset=utf-8"}
	jsonType  = []string{"application/json"}
	htmlType  = []string{"text/html; charset=utf-8"}
	okBody    = []byte("ok\n")
	okLength  = []string{strconv.Itoa(len(okBody))}
	allowed   = []string{"GET, HEAD"}
	cancelled = []byte("the request ended before the checks did\n")
)

func (h *handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	header := w.Header()
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	header["Vary"] = varyOn
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		header["Allow"] = allowed
		respond(w, req, http.StatusMethodNotAllowed, textType, []byte("expected GET or HEAD\n"))
		return
	}
	format := negotiate(req.Header["Accept"])
	name, state := h.look(checkPath(req))
	if name == "" && state == Up && format == formatText && req.URL.RawQuery == "" {
		respondOK(w, req)
		return
	}
	params, _ := url.ParseQuery(req.URL.RawQuery) // it returns what it understood
	v := view{query: query{kind: h.kind, only: name}, handlerConfig: h.config}
	v.excluded, v.unknown = h.excluded(params["exclude"])
	if !h.registry.demand(req.Context(), v.query) {
		// If it is a middleware whose time was up, somebody may still read this.
		respond(w, req, http.StatusServiceUnavailable, textType, cancelled)
		return
	}
	verbose := name != "" || isSet(params, "verbose")
	if format == formatText && !verbose && len(v.unknown) == 0 && h.registry.state(v.query) == Up {
		respondOK(w, req)
		return
	}
	v.Report, v.now = h.registry.report(v.query, 1), time.Now()
	if name != "" && len(v.Checks) == 0 { // unknown, excluded, or removed since
		respond(w, req, http.StatusNotFound, textType,
			[]byte("no "+h.kind.String()+" check is named "+quoted(name)+"\n"))
		return
	}
	status := http.StatusOK
	if !v.OK() {
		status = http.StatusServiceUnavailable
	}
	var body bytes.Buffer
	switch format {
	case formatJSON:
		v.writeJSON(&body)
		respond(w, req, status, jsonType, body.Bytes())
	case formatHTML:
		header.Set("Content-Security-Policy", pagePolicy())
		header.Set("Referrer-Policy", "no-referrer")
		newPage(v, h.registry, req, params).write(&body)
		respond(w, req, status, htmlType, body.Bytes())
	default:
		v.writeText(&body, verbose || !v.OK())
		respond(w, req, status, textType, body.Bytes())
	}
}

func respondOK(w http.ResponseWriter, req *http.Request) {
	header := w.Header()
	header["Content-Type"] = textType
	header["Content-Length"] = okLength
	w.WriteHeader(http.StatusOK) // not left to net/http: some routers have set another one
	if req.Method == http.MethodGet {
		_, _ = w.Write(okBody)
	}
}

func respond(
	w http.ResponseWriter, req *http.Request, status int, contentType []string, body []byte,
) {
	header := w.Header()
	header["Content-Type"] = contentType
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone needs no answer
	}
}

// excluded returns the checks that the values of ?exclude= name. It is lenient, as k8s.io/apiserver
// is: a name that no check has changes nothing.
func (h *handler) excluded(values []string) (names map[string]bool, unknown []string) {
	h.registry.mu.Lock()
	defer h.registry.mu.Unlock()
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			switch c := h.registry.byName[name]; {
			case name == "":
			case c != nil && c.Kind&h.kind != 0:
				if names == nil {
					names = map[string]bool{}
				}
				names[name] = true
			case len(unknown) < 10: // a URL may have very many
				unknown = append(unknown, quoted(name))
			}
		}
	}
	return names, unknown
}

// isSet reports whether a parameter is there, unless its value is false.
func isSet(params url.Values, name string) bool {
	if !params.Has(name) {
		return false
	}
	on, err := strconv.ParseBool(params.Get(name))
	return err != nil || on
}

// quoted is a name that a client sent, as answers may show it.
func quoted(name string) string { return firstLine(strconv.Quote(name), maxNameLen+2) }
