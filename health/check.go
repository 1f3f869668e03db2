package health

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Check is a named probe that a [Registry] runs again and again. Only Name and Probe are needed: the zero value of any other field
// stands for its default, and a negative one is an error of [New], except [OnDemand].
type Check struct {
	// Name stands in reports and in the paths of single checks: 1 to 64 of A-Z a-z 0-9 . _ -, and not "." or "..".
	Name string

	// Probe is what to do. The Registry calls it with a context of its own, never with that of a request.
	Probe Probe

	// Kind says which endpoints show the check and fail with it, such as Live|Ready. The default is Ready.
	Kind Kind

	// Timeout is how long one run may take; after it the run has failed. The default is one second.
	Timeout time.Duration

	// Period is the time from the beginning of one run to that of the next. The default is 10 seconds. With
	// [OnDemand] a request causes the run and waits for it.
	//
	// Until a check has come up for the first time it is run more often, with pauses of a tenth of the time
	// since Run began, from 10ms to the Period, so that the service is not called ready a Period too late.
	Period time.Duration

	// Grace is the time after Run began in which failures do not count. During that time a check that is still
	// pending does not fail a Live endpoint either, so a slow start is not punished with a restart; it does fail
	// the others. The default is none.
	Grace time.Duration

	// Failures is how many failures in a row turn the check down. The default is 3: with the default Period a
	// database that is lost for ten seconds goes unnoticed, one that is lost for half a minute does not.
	// A probe that does not return fails again each time it would be due. Before the check
	// has come up for the first time, the failures within one Period count as one.
	Failures int

	// Successes is how many successes in a row turn the check up. The default is 1. All of them count, however soon
	// one follows the other.
	Successes int

	// Optional checks are shown, but never fail the endpoint, only their own path below it.
	Optional bool
}

// OnDemand is the Period of a check that is run when an endpoint that shows it is asked. All requests that
// arrive during a run share it. Until the check has come up for the first time it is run in the background like
// any other. While draining, the Ready endpoint does not wait for it.
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
	// Startup is for /startupz: it has passed for good once each check has been up. A check of no other kind is
	// not run any more then.
	Startup

	allKinds = Live | Ready | Startup
)

// String returns the names joined by |, such as "live|ready".
func (k Kind) String() string {
	var names []string
	for i, name := range []string{"live", "ready", "startup"} {
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

// A State is what is known of a check, or of all checks of an endpoint together. The zero value is [Pending].
type State uint8

const (
	Pending  State = iota // too little has been seen to say anything; serves as 503, but see Grace in [Check]
	Up                    // well; serves as 200
	Down                  // not well; serves as 503
	Draining              // of an endpoint only: the service is about to stop; serves as 503
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
	// ErrDuplicate is returned by New when two checks have the same name.
	ErrDuplicate = errors.New("health: two checks of the same name")

	// ErrInvalidName is returned by New when the name of a check is empty, too long, or does not fit in the path of a URL.
	ErrInvalidName = errors.New("health: invalid name of a check")
)

// validate returns everything that is wrong with the check.
func (c Check) validate() error {
	var errs []error
	problem := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("health: check %q: "+format, append([]any{c.Name}, args...)...))
	}
	if !validName(c.Name) {
		errs = append(errs, fmt.Errorf("%w: %q: expected 1 to %d of A-Z a-z 0-9 . _ -", ErrInvalidName, c.Name, maxNameLen))
	}
	if c.Probe == nil {
		problem("Probe is nil")
	}
	if c.Kind&^allKinds != 0 {
		problem("Kind %v: expected Live, Ready, Startup or several of them", c.Kind)
	}
	if c.Timeout < 0 {
		problem("Timeout %v: must not be negative", c.Timeout)
	}
	if c.Period < 0 && c.Period != OnDemand {
		problem("Period %v: must not be negative, except OnDemand", c.Period)
	}
	if c.Grace < 0 {
		problem("Grace %v: must not be negative", c.Grace)
	}
	if c.Failures < 0 {
		problem("Failures %d: must not be negative", c.Failures)
	}
	if c.Successes < 0 {
		problem("Successes %d: must not be negative", c.Successes)
	}
	return errors.Join(errs...)
}

func validName(name string) bool {
	if name == "" || len(name) > maxNameLen || name == "." || name == ".." { // these two never arrive: clients clean paths
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r >= 0x80 || !isLetter(byte(r)) && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
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
