package drain

import (
	"context"
	"errors"
	"time"
)

// replace returns an experiment that replaces two instances, one after the other, under load: a new
// one is started, the old one gets the signal, the balancer notices after Lag and sends nothing
// more to it, on connections that it still has, too, and the old one ends.
func replace(
	t traffic, speaks func(*program) bool, newCaller func(*program) caller,
) func(context.Context, *program) (finding, error) {
	return func(ctx context.Context, p *program) (finding, error) {
		if !speaks(p) {
			return notApplicable("it does not speak %s", t.protocol), nil
		}
		if why := p.cannotGoVia(t); why != "" {
			return notApplicable("%s", why), nil
		}
		r := &replacement{program: p, load: newLoad(newCaller(p.front()))}
		defer r.close()
		if err := r.begin(ctx, t); err != nil {
			return finding{}, err
		}
		if before := r.load.count(); before.lost > 0 {
			return fault("%s before any signal: %s", before, before.ways()), nil
		}
		lost, each := 0, true
		for range replaced {
			if err := r.next(ctx); err != nil {
				return finding{}, err
			}
			now := r.load.count().lost
			each = each && now > lost
			lost = now
		}
		n := r.load.stop()
		if n.lost == 0 {
			return ok("%s", n), context.Cause(ctx)
		}
		f := fault("%s: %s", n, n.ways())
		f.sure = each // seen twice
		return f, context.Cause(ctx)
	}
}

// A traffic is what a load consists of.
type traffic struct {
	protocol string
	http2    bool
	kept     bool // its connections are used again
}

const replaced = 2 // instances

// A replacement is the load and what it goes to.
type replacement struct {
	program   *program
	load      *load
	proxy     *proxy // nil if the load itself balances
	ports     []int  // of the instances, if a proxy is told before they start
	instances []*instance
}

func (r *replacement) begin(ctx context.Context, t traffic) (err error) {
	via := r.program.Via != ""
	for via && len(r.ports) < 2*replaced {
		port, err := freePort()
		if err != nil {
			return err
		}
		r.ports = append(r.ports, port)
	}
	for range replaced {
		in, err := r.start(ctx)
		if err != nil {
			return err
		}
		if !via {
			r.load.add(in)
		}
	}
	if via {
		if r.proxy, err = r.program.startProxy(ctx, t, r.ports); err != nil {
			return err
		}
		r.load.add(r.proxy.instance)
	}
	r.load.start(ctx)
	return r.load.warmUp(ctx)
}

func (r *replacement) start(ctx context.Context) (*instance, error) {
	var ports []int
	if r.ports != nil {
		ports = r.ports[len(r.instances):][:1]
	}
	in, err := r.program.start(ctx, ports...)
	if err == nil {
		r.instances = append(r.instances, in)
	}
	return in, err
}

// next replaces the oldest of the instances that get requests.
func (r *replacement) next(ctx context.Context) error {
	in, err := r.start(ctx)
	if err != nil {
		return err
	}
	old := r.instances[len(r.instances)-1-replaced]
	if r.proxy == nil {
		r.load.add(in)
	} else if err := errors.Join(r.proxy.add(ctx, in), r.proxy.beforeStop(old)); err != nil {
		return err
	}
	old.signal(r.program.Signal)
	if err := pause(ctx, r.program.Lag); err != nil {
		return err
	}
	r.load.remove(old)
	within := min(r.program.Grace, 10*time.Second)
	if r.proxy != nil { // which may go on sending to it
		old.await(ctx, within)
		return nil
	}
	// That it ends is another row's matter.
	return r.load.awaitAnswers(ctx, old, within)
}

func (r *replacement) close() {
	r.load.stop()
	if r.proxy != nil {
		r.proxy.close()
	}
	for _, in := range r.instances {
		in.close()
	}
}
