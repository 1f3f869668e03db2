package health

import (
	"net/http"
	"strings"
)

// checkPath returns the path of the request below that of the endpoint. It is "" for the endpoint
// itself if that is sure, and begins with a slash if it is surely the name of a check.
func checkPath(req *http.Request) string {
	pattern := req.Pattern
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		pattern = pattern[i:] // without method and host
	}
	if name := req.PathValue("name"); pattern == "" && name != "" {
		return "/" + name
	}
	pattern, exact := strings.CutSuffix(pattern, "/{$}")
	slash := strings.LastIndexByte(pattern, '/') + 1
	fixed, last := pattern[:slash], pattern[slash:]
	if name := wildcardValue(req, last); name != "" {
		return "/" + name
	}
	if exact || last != "" && !strings.ContainsAny(last, "*{") {
		return "" // the pattern matches one path only, that of the endpoint
	}
	path := strings.Trim(req.URL.Path, "/")
	if isStripped(req) {
		return path
	}
	rest := path
	below := "" // the value of a wildcard just before
	for fixed = strings.Trim(fixed, "/"); fixed != ""; {
		var segment, want string
		want, fixed, _ = strings.Cut(fixed, "/")
		segment, rest, _ = strings.Cut(rest, "/")
		below = wildcardValue(req, want)
		if segment != want && below == "" {
			return path // a router has removed what the pattern has
		}
	}
	prefix, _, _ := strings.Cut(last, "*")
	if !strings.HasPrefix(prefix, "{") {
		rest = strings.TrimPrefix(rest, prefix)
	}
	if rest == "" {
		return below
	}
	return rest
}

// wildcardValue returns what a segment such as {name}, {name}.json or chi's {name:regexp} of a
// pattern stands for, or "" if it has no wildcard for a single segment.
func wildcardValue(req *http.Request, segment string) string {
	_, wildcard, ok := strings.Cut(segment, "{")
	if !ok {
		return ""
	}
	wildcard, _, _ = strings.Cut(wildcard, "}")
	if strings.HasSuffix(wildcard, "...") {
		return ""
	}
	wildcard, _, _ = strings.Cut(wildcard, ":")
	return req.PathValue(wildcard)
}

// isStripped reports whether something like [http.StripPrefix] has shortened the path.
func isStripped(req *http.Request) bool {
	requested, _, _ := strings.Cut(req.RequestURI, "?")
	path := req.URL.EscapedPath()
	return len(path) < len(requested) && strings.HasSuffix(requested, path)
}

// look resolves a path of checkPath and returns the state of the endpoint, or Pending if it takes a
// run to know. All is done under one lock, as a balancer asks often.
func (h *handler) look(path string) (name string, state State) {
	name, sure := strings.CutPrefix(path, "/")
	if !sure {
		name = path[strings.LastIndexByte(path, '/')+1:]
	}
	h.registry.mu.Lock()
	defer h.registry.mu.Unlock()
	if name != "" {
		if sure || h.registry.byName[name] != nil || !isEndpoint(name) {
			return name, Pending
		}
	}
	if h.registry.onDemand {
		return "", Pending
	}
	return "", h.registry.endpointLocked(query{kind: h.kind})
}

// isEndpoint reports whether endpoints are usually called that.
func isEndpoint(name string) bool {
	switch name {
	case "livez", "readyz", "startupz", "healthz", "live", "ready", "startup", "health":
		return true
	}
	return false
}
