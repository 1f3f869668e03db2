package health

import (
	"bytes"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Handler serves the checks of this kind. Mount it for the endpoint and for the single checks below it:
//
//	ready := registry.Handler(health.Ready)
//	mux.Handle("/readyz", ready)
//	mux.Handle("/readyz/{name}", ready)
//
// With a router that does not set [http.Request.Pattern], the last element of the path is the name of a check,
// unless it is livez, readyz, startupz or healthz; or cut the path of the endpoint off with [http.StripPrefix].
//
// It answers GET and HEAD with 200 if the report is up and with 503 otherwise; a single check by its own state,
// even if it is Optional. A name that no check of this kind has is answered with 404, another method with 405.
//
//	?verbose         every check, also if all is well
//	?exclude=a,b     as if these checks did not exist, for this answer alone; unknown names are reported in the body
//
// The body is plain text, or on "Accept: application/json" JSON, or on "Accept: text/html", as browsers send
// it, a page that shows when each state began, how long the last run took, and the recent results. The page
// needs no script and no other resource, and reloads itself every five seconds. Bodies give names and states to
// whoever may ask; see [Details] for the errors.
//
// The JSON is one object, with times as in RFC 3339, in UTC:
//
//	kind, state        of the endpoint; the state of the check if it is for a single one
//	started            whether Run was called
//	checks             an array of objects, in the order of New:
//	  name, state
//	  since            when it came into this state
//	  optional         true; missing if it is not
//	  lastRun          when the last run began; missing if there was none
//	  lastDurationMs   how long that took, in milliseconds
//	  error            the first line of why it failed; only with Details
//	unknownExcludes    names in ?exclude= that no check here has, in quotes; missing if there are none
//
// Answers come from the last results; only [OnDemand] checks make a request wait, and none while draining. A request that
// ends before they do is answered with 503. Handler panics if kind is not Live, Ready, Startup or several of them.
func (r *Registry) Handler(kind Kind, opts ...HandlerOption) http.Handler {
	mustBeKind("Handler", kind)
	h := &handler{registry: r, kind: kind}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&h.config)
		}
	}
	h.onDemand = slices.ContainsFunc(r.checks, func(c *checker) bool { return c.Kind&kind != 0 && c.Period == OnDemand })
	return h
}

// A HandlerOption changes how [Registry.Handler] works. A nil HandlerOption is skipped.
type HandlerOption interface{ apply(*handlerConfig) }

type handlerConfig struct{ details bool }

type handlerOptionFunc func(*handlerConfig)

func (f handlerOptionFunc) apply(c *handlerConfig) { f(c) }

// Details says whether bodies include the first line, of at most 500 bytes, of the error of each failed run. The default is false,
// because errors name hosts, users and queries: switch it on for an endpoint that only operators reach.
func Details(show bool) HandlerOption {
	return handlerOptionFunc(func(c *handlerConfig) { c.details = show })
}

type handler struct {
	registry *Registry
	kind     Kind
	config   handlerConfig
	onDemand bool // there is at least one such check
}

// The values are shared by all answers; net/http only reads them.
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
	name := h.checkName(req)
	if c := h.registry.byName[name]; name != "" && (c == nil || c.Kind&h.kind == 0) {
		respond(w, req, http.StatusNotFound, textType, []byte("no "+h.kind.String()+" check is named "+quoted(name)+"\n"))
		return
	}
	verbose, excluded, unknown := h.parseQuery(req.URL.RawQuery)
	if h.onDemand && !h.registry.demand(req.Context(), h.kind, name, excluded) {
		// Nobody may be there to read this; but if it is a middleware whose time was up, it must not be a 200.
		respond(w, req, http.StatusServiceUnavailable, textType, cancelled)
		return
	}

	format := negotiate(req.Header["Accept"])
	if format == formatText && !verbose && name == "" && len(unknown) == 0 && h.registry.state(h.kind, excluded) == Up {
		header["Content-Type"] = textType
		header["Content-Length"] = okLength
		if req.Method == http.MethodGet {
			_, _ = w.Write(okBody)
		}
		return
	}

	results := 1
	if format == formatHTML {
		results = historyLen // only the page shows more than the last
	}
	v := view{
		Report: h.registry.report(h.kind, name, excluded, results), single: name != "", unknown: unknown,
		details: h.config.details, now: time.Now(),
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
		v.writePage(&body)
		respond(w, req, status, htmlType, body.Bytes())
	default:
		v.writeText(&body, verbose || name != "" || !v.OK())
		respond(w, req, status, textType, body.Bytes())
	}
}

func respond(w http.ResponseWriter, req *http.Request, status int, contentType []string, body []byte) {
	header := w.Header()
	header["Content-Type"] = contentType
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone needs no answer
	}
}

// checkName returns the check that the path asks for, or "" for all. The usual way is the pattern of the doc
// comment. Below a subtree pattern ("/readyz/"), http.StripPrefix or another router it is what follows.
func (h *handler) checkName(req *http.Request) string {
	pattern, path := req.Pattern, req.URL.Path
	if pattern == "" || strings.HasSuffix(pattern, "/{name}") {
		if name := req.PathValue("name"); name != "" {
			return name
		}
	}
	if pattern != "" && !strings.HasSuffix(pattern, "/") {
		return "" // an exact match, of the endpoint itself
	}
	if i := strings.IndexByte(pattern, '/'); i >= 0 { // in front of it method and host
		path = strings.TrimPrefix(path, pattern[i:])
	}
	path = strings.Trim(path, "/")
	last := path[strings.LastIndexByte(path, '/')+1:]
	if h.registry.byName[last] == nil {
		switch last {
		case "livez", "readyz", "startupz", "healthz": // the endpoint itself, without any router
			return ""
		}
	}
	return last
}

// parseQuery is lenient, as k8s.io/apiserver is: what it does not know has no effect on the status.
func (h *handler) parseQuery(rawQuery string) (verbose bool, excluded map[string]bool, unknown []string) {
	if rawQuery == "" {
		return false, nil, nil
	}
	query, _ := url.ParseQuery(rawQuery) // it returns what it understood
	if values, ok := query["verbose"]; ok {
		on, err := strconv.ParseBool(values[0])
		verbose = err != nil || on
	}
	for _, value := range query["exclude"] {
		for name := range strings.SplitSeq(value, ",") {
			switch c := h.registry.byName[name]; {
			case name == "":
			case c == nil || c.Kind&h.kind == 0:
				unknown = append(unknown, quoted(name))
			default:
				if excluded == nil {
					excluded = map[string]bool{}
				}
				excluded[name] = true
			}
		}
	}
	return verbose, excluded, unknown
}

// quoted is a name that somebody sent, as answers may show it.
func quoted(name string) string { return firstLine(strconv.Quote(name), maxNameLen+2) }

type format int

const (
	formatText format = iota
	formatJSON
	formatHTML
)

// negotiate chooses what the client prefers among what it names; text is for those that name nothing.
func negotiate(accept []string) format {
	if len(accept) == 0 || len(accept) == 1 && accept[0] == "*/*" {
		return formatText
	}
	best, bestQuality := formatText, 0.0
	for _, list := range accept {
		for item := range strings.SplitSeq(list, ",") {
			mediaType, params, err := mime.ParseMediaType(item)
			if err != nil {
				continue
			}
			offered, ok := map[string]format{
				"text/plain": formatText, "application/json": formatJSON, "text/html": formatHTML,
			}[mediaType]
			quality := 1.0
			if q, given := params["q"]; given {
				if quality, err = strconv.ParseFloat(q, 64); err != nil {
					continue
				}
			}
			if ok && quality > bestQuality { // so of equals the first wins, and q=0 means never
				best, bestQuality = offered, quality
			}
		}
	}
	return best
}
