package drain

import (
	"context"
	"time"
)

// readiness asks for readiness, on new connections, until nobody listens.
func readiness(ctx context.Context, p *program) (finding, error) {
	switch {
	case p.http1 && p.everywhere && !p.turns:
		return notApplicable("every path answers 2xx, so none can be found: give -ready"), nil
	case p.http1 && !p.turns:
		return notApplicable("no readiness path found: give -ready"), nil
	}
	w, err := p.watch(ctx, p.isReady)
	if err != nil {
		return finding{}, err
	}
	turned, closed := w.turned.Sub(w.begin), w.closed.Sub(w.begin)
	switch {
	case w.turned.IsZero() && w.closed.IsZero():
		return sureFault("%s is still ready %v after the signal", p.readyName(), seconds(w.watched)), nil
	case w.turned.IsZero():
		f := fault("%s is ready until the listener is closed, %v after the signal",
			p.readyName(), seconds(closed))
		f.sure = closed < p.Lag // whatever it answers: there is no time for it
		return f, nil
	case w.closed.IsZero():
		return ok("unready %v after the signal, the listener is open", seconds(turned)), nil
	case closed-turned < p.Lag*3/4: // it is measured in ticks
		return fault("the listener is closed %v after %s has turned: balancers take %v to notice",
			seconds(closed-turned), p.readyName(), p.Lag), nil
	default:
		return ok("unready %v after the signal, closed after %v", seconds(turned), seconds(closed)), nil
	}
}

func (p *program) readyName() string {
	if p.Ready == "" {
		return "gRPC's health check"
	}
	return p.Ready
}

// liveness asks whether the program lives, until nobody listens.
func liveness(ctx context.Context, p *program) (finding, error) {
	if !p.http1 || p.Live == "" {
		return notApplicable("no liveness path found beside that of readiness: give -live"), nil
	}
	w, err := p.watch(ctx, func(ctx context.Context, in *instance) bool {
		a, err := p.get(ctx, in, p.Live)
		return err != nil || a.status/100 == 2 // what is not answered is another row's matter
	})
	if err != nil {
		return finding{}, err
	}
	if !w.turned.IsZero() {
		return fault("%s fails %v after the signal, while the listener is open",
			p.Live, seconds(w.turned.Sub(w.begin))), nil
	}
	return ok("alive until the listener is closed"), nil
}

// A watched instance was asked again and again from the signal on.
type watched struct {
	begin   time.Time     // of the stop
	turned  time.Time     // when the answer was no; zero if it never was
	closed  time.Time     // when nobody listened; zero if somebody did all the time
	watched time.Duration // how long it was asked
}

func (p *program) watch(
	ctx context.Context, yes func(context.Context, *instance) bool,
) (w watched, err error) {
	in, err := p.start(ctx)
	if err != nil {
		return w, err
	}
	defer in.close()
	w.begin = time.Now()
	in.signal(p.Signal)
	for end := w.begin.Add(min(p.Grace, 10*time.Second)); time.Now().Before(end); {
		said := yes(ctx, in)
		asked := time.Now()
		c, err := p.dialSilently(ctx, in) // a no may be that nobody listens
		if err != nil {
			w.closed = asked
			break
		}
		c.Close()
		if !said && w.turned.IsZero() {
			w.turned = asked
		}
		if err := pause(ctx, tick/2); err != nil {
			return w, err
		}
	}
	w.watched = time.Since(w.begin)
	return w, context.Cause(ctx)
}
