package preempt_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fakeAWS is the instance metadata service of EC2, version 2, as the user guide describes it in
// docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html.
type fakeAWS struct {
	mu     sync.Mutex
	values map[string]string // by the path below meta-data
	token  string
	tokens int
	clock  time.Duration // how much its clock is ahead
}

func newFakeAWS() *fakeAWS { return &fakeAWS{values: map[string]string{}} }

func (f *fakeAWS) set(path, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values[path] = value
}

func (f *fakeAWS) now() time.Time { return time.Now().Add(f.clock) }

// spot announces an interruption, with the JSON of
// docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html.
func (f *fakeAWS) spot(action string, in time.Duration) {
	at := f.now().Add(in).UTC().Format(time.RFC3339)
	f.set("spot/instance-action", fmt.Sprintf(`{"action": %q, "time": %q}`, action, at))
}

// rebalance recommends it, with the JSON of
// docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html.
func (f *fakeAWS) rebalance() {
	f.set("events/recommendations/rebalance", `{"noticeTime": "2020-10-27T08:22:00Z"}`)
}

func (f *fakeAWS) preempt() { f.spot("terminate", 30*time.Second) }

// expire makes every token invalid that was given.
func (f *fakeAWS) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token = ""
}

func (f *fakeAWS) given() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens
}

func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "text/plain")
	const ttl = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	if r.URL.Path == "/latest/api/token" {
		if r.Method != http.MethodPut || r.Header.Get(ttl) == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		f.tokens++
		if f.token == "" {
			f.token = fmt.Sprintf("AQAEA-token-%d==", f.tokens)
		}
		w.Header().Set(ttl, r.Header.Get(ttl))
		_, _ = io.WriteString(w, f.token)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/latest/meta-data/")
	value := f.values[path]
	switch {
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") != f.token || f.token == "":
		w.WriteHeader(http.StatusUnauthorized)
	case !ok || value == "":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
	default:
		_, _ = io.WriteString(w, value)
	}
}

// fakeGoogle is the metadata server of Compute Engine, as the documentation describes it. Below
// docs.cloud.google.com/compute/docs/metadata: querying-metadata (wait_for_change, timeout_sec,
// last_etag) and getting-live-migration-notice (maintenance-event); preempted is described in
// compute/docs/instances/create-use-preemptible.
type fakeGoogle struct {
	mu      sync.Mutex
	values  map[string]string
	etags   map[string]int
	changed chan struct{} // closed and replaced when a value changes
	hasty   bool          // answers at once, whatever the question says
}

func newFakeGoogle() *fakeGoogle {
	return &fakeGoogle{
		values:  map[string]string{"instance/preempted": "FALSE", "instance/maintenance-event": "NONE"},
		etags:   map[string]int{},
		changed: make(chan struct{}),
	}
}

func (f *fakeGoogle) set(path, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values[path] = value
	f.etags[path]++
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeGoogle) preempt() { f.set("instance/preempted", "TRUE") }

func (f *fakeGoogle) get(path string) (value, etag string, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.values[path], fmt.Sprintf("%x", 0xa5+f.etags[path]), f.changed
}

func (f *fakeGoogle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/")
	value, etag, changed := f.get(path)
	query := r.URL.Query()
	seconds, _ := strconv.Atoi(query.Get("timeout_sec"))
	timeout := time.After(time.Duration(seconds) * time.Second)
	waiting := query.Get("wait_for_change") == "true" && !f.hasty
	for waiting && etag == query.Get("last_etag") {
		select {
		case <-changed:
		case <-timeout:
			waiting = false
		case <-r.Context().Done():
			return
		}
		value, etag, changed = f.get(path)
	}
	w.Header().Set("Metadata-Flavor", "Google")
	w.Header().Set("Etag", etag)
	w.Header().Set("Content-Type", "application/text")
	if value == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, value)
}

// fakeAzure is the metadata service of an Azure virtual machine named WestNO_0, as
// learn.microsoft.com/azure/virtual-machines/linux/scheduled-events describes it.
type fakeAzure struct {
	mu           sync.Mutex
	incarnation  int
	events       []azureEvent
	acknowledged []string      // the bodies of what was posted, in order
	refuse       int           // how many acknowledgements are throttled
	enabled      time.Time     // when it answers the first questions
	clock        time.Duration // how much its clock is ahead
}

type azureEvent struct {
	EventId, EventStatus, EventType, ResourceType string
	Resources                                     []string
	NotBefore, Description, EventSource           string
	DurationInSeconds                             int
}

func newFakeAzure() *fakeAzure { return &fakeAzure{} }

// azureID is that of the documentation's example.
const azureID = "C7061BAC-AFDC-4513-B24B-AA5F13A16123"

func (f *fakeAzure) now() time.Time { return time.Now().Add(f.clock) }

// event is like the example of the documentation, "an example that was seen by two VMs".
func (f *fakeAzure) event(kind string, in time.Duration, machines ...string) azureEvent {
	if machines == nil {
		machines = []string{"WestNO_0"}
	}
	return azureEvent{
		EventId:           azureID,
		EventStatus:       "Scheduled",
		EventType:         kind,
		ResourceType:      "VirtualMachine",
		Resources:         machines,
		NotBefore:         f.now().Add(in).UTC().Format(http.TimeFormat),
		Description:       "Virtual machine is being paused.",
		EventSource:       "Platform",
		DurationInSeconds: 5,
	}
}

func (f *fakeAzure) set(events ...azureEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.incarnation++
	f.events = events
}

func (f *fakeAzure) preempt() { f.set(f.event("Preempt", 30*time.Second)) }

func (f *fakeAzure) throttle(times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = times
}

func (f *fakeAzure) posted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acknowledged
}

func (f *fakeAzure) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
	query := r.URL.Query()
	switch {
	case r.Header.Get("Metadata") != "true" || query.Get("api-version") == "":
		w.WriteHeader(http.StatusBadRequest)
	case r.URL.Path == "/metadata/instance/compute/name" && query.Get("format") == "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "WestNO_0")
	case r.URL.Path != "/metadata/scheduledevents":
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPost:
		if f.refuse > 0 {
			f.refuse--
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		body, _ := io.ReadAll(r.Body)
		f.acknowledged = append(f.acknowledged, string(body))
	default:
		slow := time.Until(f.enabled)
		f.mu.Unlock()
		time.Sleep(slow)
		f.mu.Lock()
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"DocumentIncarnation": f.incarnation, "Events": append([]azureEvent{}, f.events...),
		})
	}
}
