package preempt

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
	"github.com/gracekit/gracekit/shutdown"
)

// GoogleCloud returns a manager for a machine of Compute Engine. It watches instance/preempted
// ([Preemption], in 30 seconds) and instance/maintenance-event (TERMINATE_ON_HOST_MAINTENANCE is
// [Maintenance], in 60 seconds; MIGRATE_ON_HOST_MAINTENANCE is [Pause], in 60 seconds). The service
// does not say when something happens: the times are those of the documentation, counted from when
// the notice was seen.
//
// The manager is for one GracefulShutdown. Its goroutines end with the stop.
func GoogleCloud(opts ...Option) shutdown.Manager {
	c := cloud{name: "Google Cloud", often: 5 * time.Second, connect: connectGoogle}
	return newManager(c, opts)
}

func connectGoogle(ctx context.Context, c *client, every time.Duration) ([]ask, error) {
	first := googleQuestion{client: c, path: "instance/preempted"}
	if _, err := first.get(ctx, 0); err != nil {
		return nil, err
	}
	var asks []ask
	for _, q := range []googleQuestion{
		{path: "instance/preempted", parse: parsePreempted},
		{path: "instance/maintenance-event", parse: parseMaintenanceEvent},
	} {
		q.client, q.wait = c, every
		asks = append(asks, q.ask)
	}
	return asks, nil
}

type googleQuestion struct {
	client *client
	path   string
	parse  func(body []byte) (*Notice, error)
	wait   time.Duration // for a change
	etag   string        // of the last answer
}

// ask waits until the value is another one than that of the last answer, or wait is over.
func (q *googleQuestion) ask(ctx context.Context) ([]*Notice, error) {
	resp, err := q.get(ctx, q.wait)
	if isStatus(err, http.StatusNotFound) { // GKE's metadata server has only part of them
		return nil, nil
	}
	if err != nil {
		q.etag = "" // the next question is answered at once
		return nil, err
	}
	n, err := q.parse(resp.body)
	if err != nil {
		q.etag = ""
		return nil, fmt.Errorf("%s: %w", q.path, err)
	}
	q.etag = resp.header.Get("Etag")
	if n == nil {
		return nil, nil
	}
	within := 60 * time.Second
	if n.Kind == Preemption {
		within = 30 * time.Second
	}
	n.At = time.Now().Add(within)
	return []*Notice{n}, nil
}

// get asks for the value. Without an ETag it is answered at once.
func (q *googleQuestion) get(ctx context.Context, wait time.Duration) (*response, error) {
	r := request{
		path:   "/computeMetadata/v1/" + q.path,
		header: map[string]string{"Metadata-Flavor": "Google"},
		types:  []string{"application/text", "text/plain"},
	}
	if q.etag != "" {
		seconds := (wait + time.Second - 1) / time.Second
		r.path += fmt.Sprintf("?wait_for_change=true&timeout_sec=%d&last_etag=%s",
			seconds, url.QueryEscape(q.etag))
		r.wait = seconds * time.Second
	}
	resp, err := q.client.send(ctx, r)
	if err == nil && resp.header.Get("Metadata-Flavor") != "Google" {
		return nil, fmt.Errorf("GET %s: the answer has no Metadata-Flavor: Google", r.path)
	}
	return resp, err
}

// parsePreempted reads TRUE or FALSE.
func parsePreempted(body []byte) (*Notice, error) {
	switch value := strings.TrimSpace(string(body)); value {
	case "TRUE":
		return &Notice{Kind: Preemption, Event: "preempted", id: "preempted"}, nil
	case "FALSE":
		return nil, nil
	default:
		return nil, fmt.Errorf("the value is %s, want TRUE or FALSE", oneline.Quote(value, 50))
	}
}

// parseMaintenanceEvent reads NONE, or what will be done with the machine.
func parseMaintenanceEvent(body []byte) (*Notice, error) {
	value := strings.TrimSpace(string(body))
	n := &Notice{Event: value, id: value}
	switch value {
	case "TERMINATE_ON_HOST_MAINTENANCE":
		n.Kind = Maintenance
	case "MIGRATE_ON_HOST_MAINTENANCE":
		n.Kind = Pause
	case "NONE":
		return nil, nil
	default:
		return nil, fmt.Errorf("the value is %s, want NONE or one like TERMINATE_ON_HOST_MAINTENANCE",
			oneline.Quote(value, 50))
	}
	return n, nil
}
