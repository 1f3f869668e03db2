package health

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Check is a named probe that a [Registry] runs again and again. Only Name and Probe are
// required. The zero value of any other field stands for its default; a negative one is an error,
// except [OnDemand].
type Check struct {
	// Name is shown in reports and is the path of the single check: 1 to 64 of A-Z a-z 0-9 . _ -,
	// but not "." or "..".
	Name string

	// Probe gets a context of the Registry, never that of a request.
	Probe Probe

	// Kind says which endpoints show the check and fail with it, such as Live|Ready. The default is
	// Ready.
	Kind Kind

	// Timeout is how long one run may take before it has failed. The default is one second.
	Timeout time.Duration

	// Period is the time from the start of one run to the start of the next. The default is 10
	// seconds. With [OnDemand], a request starts the run and waits for it.
	//
	// Until a check has come up for the first time it runs more often, so that the service is not
	// called unready for another Period: the pause is a tenth of the time it has taken so far, at
	// least 10ms and at most the Period, and during the first Period at most 50ms.
	Period time.Duration

	// Grace is the time after its first run in which failures do not count. While a check is
	// pending, it does not fail a Live endpoint in that time either, so that a slow start does not
	// cause a restart; it does fail the others. The default is none.
	Grace time.Duration

	// Failures is how many failures in a row turn the check down. The default is 3: with the
	// default Period, a database may be lost for ten seconds, but not for half a minute. A probe
	// that does not return fails again whenever it would be due. Before the check has come up for
	// the first time, the failures within one Period count as one.
	Failures int

	// Successes is how many successes in a row turn the check up. The default is 1.
	Successes int

	// Optional checks are shown, but fail only their own path, never the endpoint.
	Optional bool
}

// OnDemand is the Period of a check that runs when an endpoint that shows it is asked. All requests
// that arrive during a run share it. Until the check has come up for the first time it runs in the
// background like any other. While draining, the Ready endpoint does not wait for it.
const OnDemand time.Duration = -1

const (
	defaultTimeout   = time.Second // these four are those of Kubernetes' probes
	defaultPeriod    = 10 * time.Second
	defaultFailures  = 3
	defaultSuccesses = 1

	maxNameLen = 64
)

// A Kind is a set of endpoints: Live, Ready, Startup, or several of them joined by |.
type Kind uint8

const (
	// Live is for /livez: a service that fails it should be restarted.
	Live Kind = 1 << iota
	// Ready is for /readyz: a service that fails it should get no requests. Draining fails it.
	Ready
	// Startup is for /startupz: it passes for good once each check has been up. A check of no other
	// kind is not run any more then.
	Startup

	allKinds = Live | Ready | Startup
)

var kindNames = [...]string{"live", "ready", "startup"}

// String returns the names joined by |, such as "live|ready".
func (k Kind) String() string {
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if k == 0 || k&^allKinds != 0 {
		names = append(names, fmt.Sprintf("Kind(%#x)", uint8(k&^allKinds)))
	}
	return strings.Join(names, "|")
}

// MarshalText returns String, for JSON and logs. It never fails.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// A State is what is known of a check, or of all checks of an endpoint. The zero value is
// [Pending].
type State uint8

const (
	Pending  State = iota // not known yet; serves as 503, but see Grace in [Check]
	Up                    // healthy; serves as 200
	Down                  // not healthy; serves as 503
	Draining              // only of an endpoint: the service is about to stop; serves as 503
)

// String returns "pending", "up", "down" or "draining".
func (s State) String() string {
	names := [...]string{"pending", "up", "down", "draining"}
	if int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", uint8(s))
	}
	return names[s]
}

// MarshalText returns String, for JSON and logs. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var (
	// ErrDuplicate is returned by New and Add if there is a check with this name already.
	ErrDuplicate = errors.New("health: two checks of the same name")

	// ErrInvalidName is returned by New and Add if the name of a check is empty, too long, or does
	// not fit into the path of a URL.
	ErrInvalidName = errors.New("health: invalid name of a check")
)

// validate returns everything that is wrong with the check.
func (c Check) validate() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			args = append([]any{c.Name}, args...)
			errs = append(errs, fmt.Errorf("health: check %q: "+format, args...))
		}
	}
	if !validName(c.Name) {
		errs = append(errs, fmt.Errorf("%w: %q: expected 1 to %d of A-Z a-z 0-9 . _ -",
			ErrInvalidName, c.Name, maxNameLen))
	}
	require(c.Probe != nil, "Probe is nil")
	require(c.Kind&^allKinds == 0, "Kind %v: expected Live, Ready, Startup or several of them", c.Kind)
	require(c.Timeout >= 0, "Timeout %v: must not be negative", c.Timeout)
	require(c.Period >= 0 || c.Period == OnDemand,
		"Period %v: must not be negative, except OnDemand", c.Period)
	require(c.Grace >= 0, "Grace %v: must not be negative", c.Grace)
	require(c.Failures >= 0, "Failures %d: must not be negative", c.Failures)
	require(c.Successes >= 0, "Successes %d: must not be negative", c.Successes)
	return errors.Join(errs...)
}

func validName(name string) bool {
	if name == "" || len(name) > maxNameLen || name == "." || name == ".." { // clients clean these two
		return false
	}
	return consistsOf(name, "._-")
}

// consistsOf reports whether s has only ASCII letters, digits and the characters of others.
func consistsOf(s, others string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	})
}

// withDefaults replaces the zero values.
func (c Check) withDefaults() Check {
	if c.Kind == 0 {
		c.Kind = Ready
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Period == 0 {
		c.Period = defaultPeriod
	}
	if c.Failures == 0 {
		c.Failures = defaultFailures
	}
	if c.Successes == 0 {
		c.Successes = defaultSuccesses
	}
	return c
}
