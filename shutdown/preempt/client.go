package preempt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A client sends requests to a metadata service. It trusts nothing: on another machine, or in
// another network, anything may have the address.
type client struct {
	endpoint string
	http     *http.Client
}

const (
	maxBody = 64 << 10

	// answerWait is how long one answer may take. The service is on the same host.
	answerWait = 2 * time.Second
)

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func newClient(endpoint string, dial dialFunc) *client {
	return &client{endpoint, &http.Client{
		// Proxies are left out on purpose: they cannot know the metadata of this machine. So few
		// requests need no connection to be kept, and none is left when the service is over.
		Transport: &http.Transport{
			DialContext:            dial,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxBody,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A request of which the zero values are GET, no body, and any content type.
type request struct {
	method, path string
	header       map[string]string
	body         string
	types        []string // what the content type may be; a missing one is always right
	wait         time.Duration
}

// A response has the status 200 and a right content type.
type response struct {
	header http.Header
	body   []byte
}

// send returns a *statusError for any status but 200.
func (c *client) send(ctx context.Context, r request) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait+r.wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, c.endpoint+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{req.Method, r.path, resp.StatusCode}
	}
	fail := func(format string, args ...any) (*response, error) {
		return nil, fmt.Errorf("%s %s: "+format, append([]any{req.Method, r.path}, args...)...)
	}
	if value := resp.Header.Get("Content-Type"); value != "" && r.types != nil {
		got, _, err := mime.ParseMediaType(value)
		if err != nil || !slices.Contains(r.types, got) {
			return fail("the content type is %.50q, want %s", value, strings.Join(r.types, " or "))
		}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return fail("%w", err)
	}
	if len(body) > maxBody {
		return fail("the answer has more than %d bytes", maxBody)
	}
	return &response{resp.Header, body}, nil
}

// local translates a time of the service's clock into one of this machine's, by the Date that the
// service sends. That has no fractions of a second: a small difference is none, and of a large one
// the result is up to a second early.
func (r *response) local(t time.Time) time.Time {
	date, err := http.ParseTime(r.header.Get("Date"))
	if err != nil {
		return t
	}
	if ahead := time.Since(date); ahead.Abs() > 2*time.Second {
		return t.Add(ahead - time.Second)
	}
	return t
}

// A statusError is an answer with another status than 200.
type statusError struct {
	method, path string
	status       int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: status %d, want 200", e.method, e.path, e.status)
}

func isStatus(err error, statuses ...int) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && slices.Contains(statuses, e.status)
}

// isBusy reports whether the service is there but does not answer now. 511 is not among these: it
// comes from a network that wants somebody to log in.
func isBusy(err error) bool {
	return isStatus(err, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
}
