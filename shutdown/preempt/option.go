package preempt

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An Option changes what a manager asks and what it acts on. A nil Option is skipped.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config does not change after the constructor.
type config struct {
	endpoint string
	every    time.Duration
	kinds    map[Kind]bool
	onOther  func(*Notice)
	dial     dialFunc
}

func newConfig(c cloud, opts []Option) config {
	conf := config{
		endpoint: "http://169.254.169.254",
		every:    c.often,
		kinds:    map[Kind]bool{Preemption: true, Termination: true, Maintenance: true},
		dial:     new(net.Dialer).DialContext,
	}
	for _, o := range opts {
		if o != nil {
			o.apply(&conf)
		}
	}
	return conf
}

// Endpoint is where the metadata service is, for tests and for addresses other than the usual one,
// such as "http://[fd00:ec2::254]". The default is "http://169.254.169.254". It panics unless
// address is an http or https URL of a host, without a path.
func Endpoint(address string) Option {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		panic(fmt.Sprintf("preempt: Endpoint(%q): must be like http://169.254.169.254", address))
	}
	return optionFunc(func(c *config) { c.endpoint = u.Scheme + "://" + u.Host })
}

// Kinds says which notices stop the service. The default is [Preemption], [Termination] and
// [Maintenance]. With none, nothing does; [OnOther] is still told. It panics if a kind is unknown.
func Kinds(kinds ...Kind) Option {
	set := map[Kind]bool{}
	for _, k := range kinds {
		if !slices.Contains([]Kind{Preemption, Termination, Maintenance, Pause, Rebalance}, k) {
			panic(fmt.Sprintf("preempt: Kinds(%q): unknown, must be a Kind of this package", string(k)))
		}
		set[k] = true
	}
	return optionFunc(func(c *config) { c.kinds = set })
}

// Every is how often the provider is asked. A notice is seen at the latest that long after it was
// given. The default is what AWS and Azure recommend, 5 seconds and one second, and 5 seconds for
// Google Cloud: that answers a question when something changes, and Every is only how long one
// question waits for that. It panics if d is not positive.
func Every(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("preempt: Every(%v): must be positive", d))
	}
	return optionFunc(func(c *config) { c.every = d })
}

// OnOther has fn called once for each notice that does not stop the service: one of a kind that is
// not in [Kinds], and one that is more than 20 minutes ahead, which stops the service when its time
// is near. Calls come one at a time, from a goroutine of their own; one that blocks holds up
// nothing but the following ones. A panic of fn is reported like the failure of a manager. It
// panics if fn is nil.
func OnOther(fn func(*Notice)) Option {
	if fn == nil {
		panic("preempt: OnOther(nil): a function is needed")
	}
	return optionFunc(func(c *config) { c.onOther = fn })
}
