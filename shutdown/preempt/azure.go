package preempt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/internal/oneline"
	"github.com/gracekit/gracekit/shutdown"
)

// Azure returns a manager for a virtual machine of Azure. It watches the Scheduled Events: Preempt
// is [Preemption], Terminate is [Termination], Reboot and Redeploy are [Maintenance], Freeze is
// [Pause]. Events that concern only other machines are left out. A Reboot or Redeploy that has
// started without having been announced does not stop the service, because the event still stands
// when the machine is back.
//
// When the service has stopped, at the very end, the event that stopped it is acknowledged, so that
// Azure need not wait until its time; this takes 2 seconds at most. An event that also concerns
// other machines is not: the acknowledgement would be for them, too. For the same reason only one
// service of a machine should have this manager.
//
// The manager is for one GracefulShutdown. Its goroutines end with the stop.
func Azure(opts ...Option) shutdown.Manager {
	c := cloud{name: "Azure", often: time.Second, connect: connectAzure}
	return &azure{manager: newManager(c, opts)}
}

type azure struct {
	*manager
	lifetime context.Context // of Start
}

func (a *azure) Start(ctx context.Context, request func(reason error)) error {
	a.lifetime = ctx
	return a.manager.Start(ctx, request)
}

// ShutdownFinish acknowledges what has stopped the service and still stands. A failure is no error
// of the stop: Azure goes on without it, later.
func (a *azure) ShutdownFinish(ctx context.Context, _ shutdown.Report) error {
	owed := a.owed.Swap(nil)
	if owed == nil || len(*owed) == 0 {
		return nil
	}
	if err := acknowledge(ctx, a.client, *owed); err != nil {
		control.FromContext(a.lifetime).Failed(fmt.Errorf("acknowledgement: %w", err))
	}
	return nil
}

const azureEvents = "/metadata/scheduledevents?api-version=2020-07-01"

var azureHeader = map[string]string{"Metadata": "true"}

// acknowledge repeats a request only if the answer says that nothing was done.
func acknowledge(ctx context.Context, c *client, ids []string) error {
	type start struct{ EventId string }
	var doc struct{ StartRequests []start }
	for _, id := range ids {
		doc.StartRequests = append(doc.StartRequests, start{id})
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		_, err := c.send(ctx, request{
			method: http.MethodPost, path: azureEvents, header: azureHeader, body: string(body),
		})
		refused := isStatus(err, http.StatusTooManyRequests, http.StatusServiceUnavailable)
		if !refused || !sleep(ctx, pause) {
			return err
		}
	}
}

// Names of machines are up to 64 letters, digits and .-_ long.
var azureNameForm = regexp.MustCompile(`^[\pL\d._-]{1,64}$`)

func connectAzure(ctx context.Context, c *client, _ time.Duration) ([]ask, error) {
	resp, err := c.send(ctx, request{
		path:   "/metadata/instance/compute/name?api-version=2021-02-01&format=text",
		header: azureHeader,
		types:  []string{"text/plain"},
	})
	if err != nil {
		return nil, err
	}
	name := string(resp.body)
	if !azureNameForm.MatchString(name) {
		return nil, fmt.Errorf("the machine's name is %s, want letters, digits, dots and dashes",
			oneline.Quote(name, 50))
	}
	q := azureQuestion{client: c, machine: name, wait: enableWait}
	return []ask{q.ask}, nil
}

// enableWait is for the first question, which enables the Scheduled Events. The answer may take two
// minutes.
const enableWait = 3 * time.Minute

type azureQuestion struct {
	client  *client
	machine string
	wait    time.Duration
}

func (q *azureQuestion) ask(ctx context.Context) ([]*Notice, error) {
	resp, err := q.client.send(ctx, request{
		path: azureEvents, header: azureHeader, wait: q.wait, types: []string{"application/json"},
	})
	if err != nil {
		return nil, err
	}
	q.wait = 0
	notices, err := parseEvents(resp.body, q.machine)
	for _, n := range notices {
		if !n.At.IsZero() {
			n.At = resp.local(n.At)
		}
	}
	return notices, err
}

// parseEvents returns the notices of a document of Scheduled Events that are about machine, and an
// error about the events that it does not understand.
func parseEvents(body []byte, machine string) (notices []*Notice, _ error) {
	var doc struct {
		DocumentIncarnation *int
		Events              []json.RawMessage
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("scheduled events: %w", err)
	}
	if doc.DocumentIncarnation == nil {
		return nil, fmt.Errorf("scheduled events: there is no DocumentIncarnation in %s",
			oneline.Quote(string(body), 50))
	}
	var errs []error
	for _, event := range doc.Events {
		n, err := parseEvent(event, machine)
		if err != nil {
			errs = append(errs, fmt.Errorf("scheduled events: %w", err))
		} else if n != nil {
			notices = append(notices, n)
		}
	}
	return notices, errors.Join(errs...)
}

// parseEvent returns nil for an event that is not about machine or says nothing new.
func parseEvent(event []byte, machine string) (*Notice, error) {
	var e struct {
		EventId, EventStatus, EventType, NotBefore string
		Resources                                  []string
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	mine := func(resource string) bool { return strings.EqualFold(resource, machine) }
	if !slices.ContainsFunc(e.Resources, mine) {
		return nil, nil
	}
	kind := map[string]Kind{
		"Preempt": Preemption, "Terminate": Termination,
		"Reboot": Maintenance, "Redeploy": Maintenance, "Freeze": Pause,
	}[e.EventType]
	if kind == "" || e.EventId == "" {
		return nil, fmt.Errorf("EventType is %s, want one like Reboot; EventId is %s",
			oneline.Quote(e.EventType, 50), oneline.Quote(e.EventId, 50))
	}
	n := &Notice{Kind: kind, Event: e.EventType, id: e.EventId}
	switch e.EventStatus {
	case "Scheduled":
		at, err := http.ParseTime(e.NotBefore)
		if err != nil || at.IsZero() {
			return nil, fmt.Errorf("NotBefore of %s is %s, want one like %s",
				e.EventType, oneline.Quote(e.NotBefore, 50), http.TimeFormat)
		}
		n.At = at
		n.acknowledge = !slices.ContainsFunc(e.Resources, func(r string) bool { return !mine(r) })
	case "Started":
		if kind == Maintenance {
			return nil, nil
		}
	default:
		return nil, fmt.Errorf("EventStatus of %s is %s, want Scheduled or Started",
			e.EventType, oneline.Quote(e.EventStatus, 50))
	}
	return n, nil
}
