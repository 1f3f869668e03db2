package drain

import (
	"context"
	"time"
)

// inFlight finishes a request when everything else in the stop is over.
func inFlight(ctx context.Context, p *program) (finding, error) {
	in, h, err := p.startHolding(ctx)
	if err != nil || h == nil {
		return notApplicable(noHold), err
	}
	defer in.close()
	defer h.close()
	begin := time.Now()
	in.signal(p.Signal)
	closed := begin
	if h.endless() {
		if closed, err = p.awaitClosed(ctx, in); err != nil {
			return finding{}, err
		}
	}
	a, err := h.finish(ctx, max(patience, p.Grace))
	switch {
	case err != nil && in.hasEnded():
		return fault("lost: the process ended %v after the signal, with %s",
			seconds(in.endedAt.Sub(begin)), in.status()), nil
	case err != nil:
		return fault("it was %s, %v after the signal", what(err), seconds(time.Since(begin))), nil
	case a.fails():
		return fault("answered by status %d", a.status), nil
	case h.endless():
		return ok("answered %v after the signal, %v after the listener was closed",
			seconds(time.Since(begin)), seconds(time.Since(closed))), nil
	default:
		return ok("answered %v after the signal", seconds(time.Since(begin))), nil
	}
}

// startHolding starts an instance that has a request in flight; h is nil if the program has none.
func (p *program) startHolding(ctx context.Context) (in *instance, h *held, err error) {
	if in, err = p.start(ctx); err != nil {
		return nil, nil, err
	}
	if h, err = p.hold(ctx, in); err != nil || h == nil {
		in.close()
		return nil, nil, err
	}
	return in, h, nil
}

// secondSignal sends one while a request in flight holds the stop up. An instance that gets one
// signal only is the control.
func secondSignal(ctx context.Context, p *program) (finding, error) {
	control, h, err := p.startHolding(ctx)
	if err != nil || h == nil {
		return notApplicable(noHold), err
	}
	defer control.close()
	defer h.close()
	in, h2, err := p.startHolding(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()
	defer h2.close()
	control.signal(p.Signal)
	in.signal(p.Signal)
	if in.await(ctx, 300*time.Millisecond) {
		return notApplicable("the first one has ended it within %v", 300*time.Millisecond), nil
	}
	begin := time.Now()
	in.signal(p.Signal)
	const within = 3 * time.Second
	const alike = 500 * time.Millisecond
	switch ended := in.await(ctx, within); {
	case !ended:
		f := fault("still running %v after the second signal", within)
		f.sure = !in.await(ctx, within) || control.await(ctx, within) // chance does not last so long
		return f, context.Cause(ctx)
	case control.await(ctx, alike):
		return fault("ended %v after the second signal, and no sooner than without it",
			seconds(in.endedAt.Sub(begin))), nil
	default:
		return ok("ended %v after the second signal", seconds(in.endedAt.Sub(begin))), nil
	}
}

// signalTwice sends two signals at once, which must not cost the request in flight.
func signalTwice(ctx context.Context, p *program) (finding, error) {
	for range 5 {
		f, apart, err := p.twoSignals(ctx)
		if err != nil || apart <= time.Millisecond {
			return f, err
		}
	}
	return notApplicable("this machine is too busy to send two signals within a millisecond"), nil
}

func (p *program) twoSignals(ctx context.Context) (f finding, apart time.Duration, err error) {
	in, h, err := p.startHolding(ctx)
	if err != nil || h == nil {
		return notApplicable(noHold), 0, err
	}
	defer in.close()
	defer h.close()
	begin := time.Now()
	in.signal(p.Signal)
	in.signal(p.Signal)
	apart = time.Since(begin)
	if in.await(ctx, 500*time.Millisecond) {
		return fault("ended %v after the signals, with %s: a request in flight was lost",
			seconds(in.endedAt.Sub(begin)), in.status()), apart, nil
	}
	a, err := h.finish(ctx, max(patience, p.Grace))
	switch {
	case err != nil:
		return fault("the request in flight was %s", what(err)), apart, nil
	case a.fails():
		return fault("the request in flight was answered by status %d", a.status), apart, nil
	default:
		return ok("the request in flight was answered"), apart, nil
	}
}

// hang holds a request up for longer than the platform waits.
func hang(ctx context.Context, p *program) (finding, error) {
	withBody := *p
	withBody.Slow = "" // which ends by itself
	in, h, err := withBody.startHolding(ctx)
	if err != nil || h == nil {
		return notApplicable("no request of this program waits for its body, so none can be held up"), err
	}
	defer in.close()
	defer h.close()
	begin := time.Now()
	in.signal(p.Signal)
	if !in.await(ctx, p.Grace) {
		return sureFault("still running %v after the signal: the platform kills it, and nothing that "+
			"should have come after the drain is done", p.Grace), context.Cause(ctx)
	}
	return ok("ended %v after the signal, with %s",
		seconds(in.endedAt.Sub(begin)), in.status()), nil
}
