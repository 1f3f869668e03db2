package preempt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
	"github.com/gracekit/gracekit/shutdown"
)

// AWS returns a manager for a machine of Amazon EC2. It watches spot/instance-action (terminate and
// stop are [Preemption], hibernate is [Pause]), autoscaling/target-lifecycle-state (Terminated is
// [Termination], without a time) and events/recommendations/rebalance ([Rebalance]).
//
// It speaks version 2 of the instance metadata service only. In a container the answer to its first
// request, for a token, arrives only if the machine's hop limit (HttpPutResponseHopLimit) is 2 or
// more; otherwise nothing is watched.
//
// The manager is for one GracefulShutdown. Its goroutines end with the stop.
func AWS(opts ...Option) shutdown.Manager {
	return newManager(cloud{name: "AWS", often: 5 * time.Second, connect: connectAWS}, opts)
}

func connectAWS(ctx context.Context, c *client, _ time.Duration) ([]ask, error) {
	token, err := awsToken(ctx, c)
	if err != nil {
		return nil, err
	}
	var asks []ask
	for _, q := range []awsQuestion{
		{path: "spot/instance-action", parse: parseSpotAction},
		{path: "autoscaling/target-lifecycle-state", parse: parseLifecycleState},
		{path: "events/recommendations/rebalance", parse: parseRebalance},
	} {
		q.client, q.token = c, token
		asks = append(asks, q.ask)
	}
	return asks, nil
}

// An awsQuestion has a token of its own, so that the questions need not be coordinated.
type awsQuestion struct {
	client *client
	path   string
	parse  func(body []byte) (*Notice, error)
	token  string
}

func (q *awsQuestion) ask(ctx context.Context) ([]*Notice, error) {
	resp, err := q.get(ctx)
	if isStatus(err, http.StatusUnauthorized) { // the token is over
		if q.token, err = awsToken(ctx, q.client); err != nil {
			return nil, err
		}
		resp, err = q.get(ctx)
	}
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n, err := q.parse(resp.body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.path, err)
	}
	if n == nil {
		return nil, nil
	}
	if !n.At.IsZero() {
		n.At = resp.local(n.At)
		if latest := time.Now().Add(spotNotice); n.At.After(latest) {
			n.At = latest
		}
	}
	return []*Notice{n}, nil
}

// spotNotice is how long before an interruption its notice is given. A later time would come from a
// clock that is wrong.
const spotNotice = 2 * time.Minute

func (q *awsQuestion) get(ctx context.Context) (*response, error) {
	return q.client.send(ctx, request{
		path:   "/latest/meta-data/" + q.path,
		header: map[string]string{"X-aws-ec2-metadata-token": q.token},
		types:  []string{"application/json", "text/plain"},
	})
}

// The documentation says no more than that a token is opaque. It is sent back in a header.
var awsTokenForm = regexp.MustCompile(`^[!-~]{1,1000}$`)

// awsToken gets a token for six hours, the longest time there is. The header that says so is not
// what anything but AWS sends.
func awsToken(ctx context.Context, c *client) (string, error) {
	const ttl = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	resp, err := c.send(ctx, request{
		method: http.MethodPut,
		path:   "/latest/api/token",
		header: map[string]string{ttl: "21600"},
		types:  []string{"text/plain"},
	})
	switch {
	case err != nil:
		return "", err
	case resp.header.Get(ttl) == "":
		return "", errors.New("the answer with the token has no " + ttl + "; it is not from AWS")
	case !awsTokenForm.Match(resp.body):
		return "", fmt.Errorf("the token is %s, want a line of ASCII",
			oneline.Quote(string(resp.body), 50))
	}
	return string(resp.body), nil
}

// parseSpotAction reads {"action": "terminate", "time": "2017-09-18T08:22:00Z"}.
func parseSpotAction(body []byte) (*Notice, error) {
	var doc struct{ Action, Time string }
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	n := &Notice{Kind: Preemption, Event: doc.Action, id: doc.Action}
	switch doc.Action {
	case "terminate", "stop":
	case "hibernate":
		n.Kind = Pause
	default:
		return nil, fmt.Errorf("the action is %s, want terminate, stop or hibernate",
			oneline.Quote(doc.Action, 50))
	}
	at, err := parseTime(doc.Time)
	if err != nil {
		return nil, err
	}
	n.At = at
	return n, nil
}

// parseRebalance reads {"noticeTime": "2020-10-27T08:22:00Z"}, which is not when something happens.
func parseRebalance(body []byte) (*Notice, error) {
	var doc struct{ NoticeTime string }
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	if _, err := parseTime(doc.NoticeTime); err != nil {
		return nil, err
	}
	return &Notice{Kind: Rebalance, Event: "rebalance", id: "rebalance"}, nil
}

// parseLifecycleState reads one of the states that an instance of an Auto Scaling group can go to.
func parseLifecycleState(body []byte) (*Notice, error) {
	switch state := strings.TrimSpace(string(body)); state {
	case "Terminated", "Warmed:Terminated":
		return &Notice{Kind: Termination, Event: state, id: state}, nil
	case "InService", "Detached", "Standby", "Warmed:Hibernated", "Warmed:Running", "Warmed:Stopped":
		return nil, nil
	default:
		return nil, fmt.Errorf("the state is %s, want one like InService or Terminated",
			oneline.Quote(state, 50))
	}
}

func parseTime(value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil || t.IsZero() {
		return time.Time{}, fmt.Errorf("the time is %s, want one like %s",
			oneline.Quote(value, 50), time.RFC3339)
	}
	return t, nil
}
