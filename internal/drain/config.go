package drain

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Config says what is tried, and how. The zero value of everything but Command stands for the
// defaults.
type Config struct {
	// Command is the program and its arguments. {port} in them is replaced by a free port of
	// 127.0.0.1, {port2} and so on by others, {dir} by an empty directory.
	Command []string

	// PortEnv names an environment variable that gets the port.
	PortEnv string

	// Paths, all of which may be left empty. They are looked for where people usually have them.
	Ready  string // answers 2xx when the program wants requests
	Live   string // answers 2xx as long as the program lives
	Path   string // for the requests; "/"
	Slow   string // takes a second or more to answer a GET
	Large  string // answers a GET with more than a megabyte
	Events string // server-sent events
	Socket string // WebSocket

	Method string      // of the requests to Path; POST
	Body   string      // of the requests to Path; a small JSON document
	Header http.Header // of all requests

	Signal syscall.Signal // SIGTERM
	Grace  time.Duration  // after which the platform kills the program; 30s, with Quick 10s
	Lag    time.Duration  // for how long a balancer goes on sending after the signal; 200ms

	Via        string   // a balancer that the replacements go through: one of Balancers; or none
	Quick      bool     // leave out what may take all of Grace
	Only, Skip []string // names of experiments

	Progress func(string) // gets what is being done; called from one goroutine at a time
}

const (
	defaultGrace      = 30 * time.Second
	defaultQuickGrace = 10 * time.Second
	defaultLag        = 200 * time.Millisecond
	defaultBody       = `{"name":"draintest"}`
)

// check sets the defaults, and returns the experiments that were chosen.
func (c *Config) check() ([]experiment, error) {
	if len(c.Command) == 0 || c.Command[0] == "" {
		return nil, errors.New("there is no program to try: want -- ./yourserver -addr 127.0.0.1:{port}")
	}
	if c.PortEnv == "" && c.ports() == 0 {
		return nil, errors.New("the program is not told its port: want {port} in its arguments, " +
			"or the name of an environment variable (-env PORT)")
	}
	if strings.ContainsAny(c.PortEnv, "=\x00") {
		return nil, fmt.Errorf("the environment variable for the port is %q, want a name", c.PortEnv)
	}
	for name, path := range c.paths() {
		if *path != "" && (!strings.HasPrefix(*path, "/") || strings.ContainsAny(*path, " \r\n")) {
			return nil, fmt.Errorf("the path %s is %q, must begin with / and have no spaces", name, *path)
		}
	}
	if c.Grace < 0 || c.Lag < 0 {
		return nil, fmt.Errorf("grace is %v and lag %v, must not be negative", c.Grace, c.Lag)
	}
	if err := c.checkVia(); err != nil {
		return nil, err
	}
	c.setDefaults()
	if strings.ContainsAny(c.Method, " \r\n") {
		return nil, fmt.Errorf("the method is %q, want one such as POST", c.Method)
	}
	return c.choose()
}

func (c *Config) paths() map[string]*string {
	return map[string]*string{
		"ready": &c.Ready, "live": &c.Live, "path": &c.Path, "slow": &c.Slow,
		"large": &c.Large, "events": &c.Events, "socket": &c.Socket,
	}
}

// SetPath sets one of the paths by its name: "ready" is Ready. It returns the names if it is none.
func (c *Config) SetPath(name, path string) error {
	paths := c.paths()
	if paths[name] == nil {
		return fmt.Errorf("no path is called %q, want one of %s",
			name, strings.Join(slices.Sorted(maps.Keys(paths)), ", "))
	}
	*paths[name] = path
	return nil
}

func (c *Config) setDefaults() {
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Method == "" {
		c.Method = http.MethodPost
	}
	if c.Body == "" && c.Method != http.MethodGet && c.Method != http.MethodHead {
		c.Body = defaultBody
	}
	if c.Signal == 0 {
		c.Signal = syscall.SIGTERM
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
		if c.Quick {
			c.Grace = defaultQuickGrace
		}
	}
	if c.Lag == 0 {
		c.Lag = defaultLag
	}
}

func (c *Config) choose() (chosen []experiment, err error) {
	for _, name := range slices.Concat(c.Only, c.Skip) {
		if !slices.ContainsFunc(experiments(), func(e experiment) bool { return e.name == name }) {
			return nil, fmt.Errorf("no experiment is called %q; -list shows them", name)
		}
	}
	for _, e := range experiments() {
		only := len(c.Only) == 0 && !(c.Quick && e.long) || slices.Contains(c.Only, e.name)
		if only && !slices.Contains(c.Skip, e.name) {
			chosen = append(chosen, e)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("nothing is left to try: -skip names all that -only does")
	}
	return chosen, nil
}

func (c *Config) say(line string) {
	if c.Progress != nil {
		c.Progress(line)
	}
}

var portPlace = regexp.MustCompile(`\{port(\d?)\}`)

// ports returns how many ports the arguments ask for: the highest number in them.
func (c *Config) ports() (n int) {
	for _, arg := range c.Command {
		for _, found := range portPlace.FindAllStringSubmatch(arg, -1) {
			number, err := strconv.Atoi(found[1])
			if err != nil {
				number = 1
			}
			n = max(n, number)
		}
	}
	return n
}

// arguments returns the command with its places filled.
func (c *Config) arguments(ports []int, dir string) (args []string) {
	for _, arg := range c.Command {
		arg = portPlace.ReplaceAllStringFunc(arg, func(place string) string {
			number, err := strconv.Atoi(portPlace.FindStringSubmatch(place)[1])
			if err != nil || number == 0 {
				number = 1
			}
			return strconv.Itoa(ports[number-1])
		})
		args = append(args, strings.ReplaceAll(arg, "{dir}", dir))
	}
	return args
}
