package drain

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// exit looks at the stop of the instance that everything began with.
func exit(ctx context.Context, p *program) (finding, error) {
	select {
	case <-p.idle.done:
	case <-ctx.Done():
		return finding{}, context.Cause(ctx)
	}
	return p.howItEnded(*p.idle, p.Signal), context.Cause(ctx)
}

func (p *program) howItEnded(s stop, sig syscall.Signal) finding {
	switch {
	case !s.ended && len(s.listening) > 0:
		return sureFault("still running %v after the signal; it still listens at %s: a server that "+
			"nobody stops", p.Grace, strings.Join(s.listening, " and "))
	case !s.ended:
		return sureFault("still running %v after the signal", p.Grace)
	case s.status == -exitStatus(sig):
		return sureFault("the signal has ended it at once: nothing in the program handles it")
	case !s.status.clean(sig):
		return sureFault("%s after %v; %s", s.status, seconds(s.took), lastLine(s.wrote))
	case s.status != 0:
		return ok("%s after %v (for systemd: SuccessExitStatus=%d)", s.status, seconds(s.took), s.status)
	default:
		return ok("%s after %v", s.status, seconds(s.took))
	}
}

func lastLine(wrote string) string {
	lines := strings.Split(wrote, "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if len(lines) > 1 {
		return "its last line: " + oneline.Quote(last, 100)
	}
	return last
}

// otherSignal sends the signal that people send from a terminal.
func otherSignal(ctx context.Context, p *program) (finding, error) {
	sig := syscall.SIGINT
	if p.Signal == sig {
		sig = syscall.SIGTERM
	}
	in, err := p.start(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()
	begin := time.Now()
	in.signal(sig)
	if !in.await(ctx, p.Grace) {
		return p.neverEnded(sig), context.Cause(ctx)
	}
	s := stop{ended: true, status: in.status(), took: in.endedAt.Sub(begin), wrote: in.output.String()}
	return p.howItEnded(s, sig), nil
}

// neverEnded compares with an idle instance.
func (p *program) neverEnded(sig syscall.Signal) finding {
	if !p.idle.wait().ended {
		return notApplicable("it does not end when it is idle either: see exit")
	}
	f := fault("still running %v after %v", p.Grace, sig)
	f.sure = p.idle.took < p.Grace/2
	return f
}

// earlySignal sends the signal before the program can be ready.
func earlySignal(ctx context.Context, p *program) (finding, error) {
	in, err := p.launch(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()
	if err := pause(ctx, 10*time.Millisecond); err != nil {
		return finding{}, err
	}
	begin := time.Now()
	in.signal(p.Signal)
	if !in.await(ctx, p.Grace) {
		return p.neverEnded(p.Signal), context.Cause(ctx)
	}
	return ok("ended %v after the signal, with %s", seconds(in.endedAt.Sub(begin)), in.status()), nil
}

// logReader closes the pipe that the program writes to, as when Ctrl-C ends the tee behind it.
func logReader(ctx context.Context, p *program) (finding, error) {
	in, err := p.start(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()
	in.reader.Close()
	if p.http1 {
		if c, err := p.dial(ctx, in.addr(), 0); err == nil {
			_, err = c.do(p.Method, p.usualRequest(), patience)
			c.Close()
			if err != nil && in.await(ctx, time.Second) {
				return fault("the next request was %s: the process ended with %s", what(err), in.status()), nil
			}
		}
	}
	h, err := p.hold(ctx, in)
	if err != nil {
		return fault("the next request failed: %v", err), nil
	}
	begin := time.Now()
	in.signal(p.Signal)
	if h != nil {
		if err := pause(ctx, p.Lag); err != nil { // while it writes that it stops
			h.close()
			return finding{}, err
		}
		_, err := h.finish(ctx, max(patience, p.Grace))
		h.close() // so that it holds up no stop
		if err != nil {
			in.await(ctx, time.Second)
			return p.withoutReader(in, begin, "the request in flight was "+what(err)), nil
		}
	}
	in.await(ctx, p.Grace)
	return p.withoutReader(in, begin, ""), context.Cause(ctx)
}

const endedBySIGPIPE exitStatus = -13 // package syscall has it on systems with signals only

// withoutReader compares with how the program ends when its output is read.
func (p *program) withoutReader(in *instance, begin time.Time, lost string) finding {
	p.idle.wait()
	ended := "the process did not end"
	if in.hasEnded() {
		ended = fmt.Sprintf("the process ended %v after the signal, with %s",
			seconds(in.endedAt.Sub(begin)), in.status())
	}
	switch {
	case !p.idle.ended || !p.idle.status.clean(p.Signal):
		return notApplicable("it does not stop as it should with a reader either: see exit")
	case in.hasEnded() && in.status() == endedBySIGPIPE:
		return sureFault("%s: a write to the log has ended it", ended)
	case lost == "" && !in.hasEnded():
		return p.neverEnded(p.Signal)
	case lost != "":
		return fault("%s; %s", lost, ended)
	case in.status() != p.idle.status:
		return fault("%s; with a reader it is %s", ended, p.idle.status)
	default:
		return ok("%s", ended)
	}
}

// leftBehind looks for what an instance leaves.
func leftBehind(ctx context.Context, p *program) (finding, error) {
	in, err := p.start(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()
	if p.http1 {
		if _, err := p.get(ctx, in, p.Path); err != nil {
			return fault("a request before the signal was %s", what(err)), nil
		}
	}
	in.signal(p.Signal)
	if !in.await(ctx, p.Grace) {
		return notApplicable("it does not end: see exit"), context.Cause(ctx)
	}
	// A child that is about to end gets a second for it.
	for end := time.Now().Add(time.Second); in.groupLives() || len(marked(in.mark)) > 0; {
		if time.Now().After(end) {
			break
		}
		if err := pause(ctx, tick); err != nil {
			return finding{}, err
		}
	}
	left := in.remains()
	if len(left) > 0 {
		return fault("%s", strings.Join(left, "; ")), nil
	}
	return ok("nothing"), nil
}

// remains says what an instance that has ended has left.
func (in *instance) remains() (left []string) {
	pids := marked(in.mark)
	for _, pid := range pids {
		left = append(left, "the process "+processName(pid))
	}
	if len(pids) == 0 && in.groupLives() {
		left = append(left, "a process of its group")
	}
	for _, port := range in.ports {
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			left = append(left, fmt.Sprintf("the port %d is not free", port))
			continue
		}
		l.Close()
	}
	_ = filepath.WalkDir(in.temp, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && len(left) < 5 {
			left = append(left, "the temporary file "+entry.Name())
		}
		return nil
	})
	return left
}
