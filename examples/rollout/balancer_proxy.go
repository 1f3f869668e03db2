package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"
)

// leastLag keeps the health checks of a balancer from being its main load.
const leastLag = 20 * time.Millisecond

// A proxyKind is a program that balances.
type proxyKind struct {
	command []string
	reload  []string      // the command that makes it read its configuration again
	file    string        // its configuration, below the directory in which it runs
	config  string        // a template, for a proxyConfig
	settle  time.Duration // the least time after which it tries a replica again that has failed
}

// A proxyConfig is what the templates can use.
type proxyConfig struct {
	Listen   string
	Replicas []string
	Lag      time.Duration // in which it has to notice that a replica is stopping
	HTTP2    bool          // to the replicas, and from the clients
}

func (c proxyConfig) HalfLagMillis() int64 { return c.Lag.Milliseconds() / 2 }

// Port is that of Listen.
func (c proxyConfig) Port() (string, error) {
	_, port, err := net.SplitHostPort(c.Listen)
	return port, err
}

// A proxy is such a program. It runs in a temporary directory below a minder.
type proxy struct {
	kind   proxyKind
	config proxyConfig
	listen *addresses
	dir    string
	minder *exec.Cmd
	stdin  io.Closer
	output *lastOutput
	ended  chan struct{} // closed when the minder has ended
}

// startProxy returns when the program passes requests on.
func startProxy(
	ctx context.Context, kind proxyKind, cfg config, e experiment, addresses []string,
) (*proxy, error) {
	listen, err := reserve(1, false)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rollout-*")
	if err != nil {
		listen.release()
		return nil, fmt.Errorf("making a directory for the balancer: %w", err)
	}
	p := &proxy{
		kind: kind, listen: listen, dir: dir, output: new(lastOutput), ended: make(chan struct{}),
		config: proxyConfig{
			Listen: listen.all[0], Replicas: slices.Clone(addresses),
			Lag: cfg.lag, HTTP2: e.Traffic == trafficHTTP2,
		},
	}
	if err := p.start(); err != nil {
		listen.release()
		_ = os.RemoveAll(dir)
		return nil, err
	}
	if err := p.waitUntilUp(ctx); err != nil {
		p.close()
		return nil, fmt.Errorf("%s: %w%s", kind.command[0], err, p.output)
	}
	return p, nil
}

func (p *proxy) start() (err error) {
	if err := p.configure(); err != nil {
		return err
	}
	// Not the context of the experiment: the minder has to be there at the end of it.
	p.minder, p.stdin, err = child(context.Background(), p.kind.command, minderVariable, p.dir)
	if err != nil {
		return err
	}
	p.minder.Stdout, p.minder.Stderr = p.output, p.output
	p.minder.WaitDelay = time.Second // if it was killed, its program still has them
	if err := p.minder.Start(); err != nil {
		return fmt.Errorf("starting the minder of %s: %w", p.kind.command[0], err)
	}
	go func() {
		defer close(p.ended)
		_ = p.minder.Wait()
	}()
	return nil
}

func (p *proxy) configure() error {
	t, err := template.New(p.kind.file).Parse(p.kind.config)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, p.config); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, p.kind.file), text.Bytes(), 0o600)
}

func (p *proxy) waitUntilUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("it does not answer"))
	defer cancel()
	for !p.answers(ctx) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.ended:
			return errors.New("it does not run")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return p.settle(ctx)
}

func (p *proxy) answers(ctx context.Context) bool {
	url := "http://" + p.config.Listen + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (p *proxy) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", p.config.Listen)
}

func (p *proxy) add(string) error    { return nil }
func (p *proxy) remove(string) error { return nil }

// settle waits twice as long as the balancer takes to notice.
func (p *proxy) settle(ctx context.Context) error {
	select {
	case <-time.After(max(2*p.config.Lag, p.kind.settle)):
		return nil
	case <-p.ended:
		return errors.New("the balancer has ended")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close returns when the program has ended and its directory is gone.
func (p *proxy) close() {
	p.stdin.Close()
	<-p.ended
	p.listen.release()
}

// A reloadedProxy is told of changes by its configuration.
type reloadedProxy struct{ *proxy }

func (p reloadedProxy) add(addr string) error {
	p.config.Replicas = append(p.config.Replicas, addr)
	return p.reload()
}

func (p reloadedProxy) remove(addr string) error {
	p.config.Replicas = slices.DeleteFunc(p.config.Replicas,
		func(a string) bool { return a == addr })
	return p.reload()
}

func (p reloadedProxy) reload() error {
	if err := p.configure(); err != nil {
		return err
	}
	cmd := exec.Command(p.kind.reload[0], p.kind.reload[1:]...)
	cmd.Dir = p.dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(p.kind.reload, " "), err, output)
	}
	return nil
}

// A lastOutput keeps the last that a program has printed, to be shown if it does not start.
type lastOutput struct {
	mu   sync.Mutex
	text []byte
}

func (o *lastOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	const most = 2000
	o.text = append(o.text, p...)
	o.text = o.text[max(0, len(o.text)-most):]
	return len(p), nil
}

func (o *lastOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.text) == 0 {
		return ""
	}
	return "\n" + string(o.text)
}
