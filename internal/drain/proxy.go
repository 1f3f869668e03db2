package drain

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// A proxy is a balancer that people run, between the load and the instances.
type proxy struct {
	*instance // the process of the balancer
	kind      proxyKind
	config    proxyConfig
	lag       time.Duration
}

// A proxyKind says how a balancer is run. The commands run in the directory of its configuration.
type proxyKind struct {
	command []string
	reload  []string // for one without health checks: makes it read its configuration again
	file    string   // its configuration, a template below proxy
}

func proxyKinds() map[string]proxyKind {
	nginx := []string{"nginx", "-p", ".", "-c", "nginx.conf", "-e", "stderr"}
	return map[string]proxyKind{
		"haproxy": {
			command: []string{"haproxy", "-db", "-f", "haproxy.cfg"},
			file:    "haproxy.cfg",
		},
		"caddy": {
			command: []string{"caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"},
			file:    "Caddyfile",
		},
		"nginx": {
			command: nginx,
			reload:  slices.Concat(nginx, []string{"-s", "reload"}),
			file:    "nginx.conf",
		},
	}
}

// Balancers are the values of Config.Via.
func Balancers() []string { return slices.Sorted(maps.Keys(proxyKinds())) }

//go:embed proxy
var proxyFiles embed.FS

// A proxyConfig is what the templates can use.
type proxyConfig struct {
	Listen     string
	Instances  []string
	Ready      string
	QuarterLag string
	HTTP2, TLS bool // towards the instances; the clients use no TLS
}

func (c *Config) checkVia() error {
	if c.Via == "" {
		return nil
	}
	kind, known := proxyKinds()[c.Via]
	if !known {
		return fmt.Errorf("the balancer is %q, want one of %s", c.Via, strings.Join(Balancers(), ", "))
	}
	if _, err := lookPath(kind.command[0]); err != nil {
		return fmt.Errorf("the balancer cannot be run: %w", err)
	}
	return nil
}

// lookPath looks where systems keep their services, too.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		if sbin, found := exec.LookPath(filepath.Join("/usr/sbin", name)); found == nil {
			return sbin, nil
		}
	}
	return path, err
}

// cannotGoVia says why the balancer cannot pass a traffic on, or nothing.
func (p *program) cannotGoVia(t traffic) string {
	switch {
	case p.Via == "":
		return ""
	case p.Via != "nginx" && p.Ready == "":
		return p.Via + " learns from a readiness path, and the program has none; see -ready"
	case p.Via == "nginx" && t.http2:
		return "nginx speaks HTTP/1 to what is behind it"
	case p.Via == "nginx" && t.kept:
		return "nginx closes kept-alive connections when it is reloaded, so clients lose some there"
	}
	return ""
}

// front returns the program as clients see it.
func (p *program) front() *program {
	if p.Via == "" {
		return p
	}
	return &program{Config: p.Config} // without TLS
}

// startProxy returns when the balancer passes requests on to the instances. Others that will come
// later have the ports after theirs.
func (p *program) startProxy(ctx context.Context, t traffic, ports []int) (*proxy, error) {
	in, err := newInstance(1, nil)
	if err != nil {
		return nil, err
	}
	px := &proxy{
		instance: in, kind: proxyKinds()[p.Via], lag: p.Lag,
		config: proxyConfig{
			Listen: in.addr(), Ready: p.Ready, HTTP2: t.http2, TLS: p.tls,
			QuarterLag: fmt.Sprintf("%dms", max((p.Lag/4).Milliseconds(), 1)),
		},
	}
	if px.kind.reload != nil {
		ports = ports[:replaced] // it is told of the others
	}
	for _, port := range ports {
		px.config.Instances = append(px.config.Instances, address(port))
	}
	if err := px.start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(in.dir))
	}
	if err := px.awaitListening(ctx, p.front()); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Via, px.failed(err))
	}
	return px, nil
}

func (px *proxy) start(ctx context.Context) (err error) {
	if err := px.configure(); err != nil {
		return err
	}
	if px.cmd, err = px.command(px.kind.command); err != nil {
		return err
	}
	px.cmd.Env = []string{"HOME=" + px.data} // Caddy writes there
	return px.launch(ctx)
}

func (px *proxy) configure() error {
	t, err := template.ParseFS(proxyFiles, "proxy/"+px.kind.file)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, px.config); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(px.data, px.kind.file), text.Bytes(), 0o600)
}

func (px *proxy) command(args []string) (*exec.Cmd, error) {
	path, err := lookPath(args[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = px.data
	return cmd, nil
}

// awaitListening returns when the balancer listens, and has had time to see which instances are up.
func (px *proxy) awaitListening(ctx context.Context, front *program) error {
	dial := func() error {
		c, err := front.dial(ctx, px.addr(), 0)
		if err == nil {
			c.Close()
		}
		return err
	}
	err := px.awaitUp(ctx, "listening",
		func() bool { return dial() == nil },
		func() string { return fmt.Sprint(dial()) })
	if err != nil {
		return err
	}
	return pause(ctx, px.lag)
}

// add returns when the balancer knows the instance.
func (px *proxy) add(ctx context.Context, in *instance) error {
	px.config.Instances = append(px.config.Instances, in.addr())
	if err := px.reload(); err != nil {
		return err
	}
	return pause(ctx, px.lag)
}

// beforeStop tells a balancer that does not find out by itself that an instance is about to stop.
func (px *proxy) beforeStop(in *instance) error {
	px.config.Instances = slices.DeleteFunc(px.config.Instances,
		func(addr string) bool { return addr == in.addr() })
	return px.reload()
}

func (px *proxy) reload() error {
	if px.kind.reload == nil {
		return nil
	}
	cmd, err := px.command(px.kind.reload)
	if err == nil {
		err = px.configure()
	}
	if err != nil {
		return err
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(px.kind.reload, " "), err, oneline.Cut(string(output), 200))
	}
	return nil
}
