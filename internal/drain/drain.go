// Package drain finds out how a program stops, whatever it is written in: it starts the program,
// talks to it on loopback, sends it signals, and counts what becomes of its requests. It is the
// engine of shutdown/draintest and shutdown/shutdowntest.
//
// Everything that depends on time is compared with a control of the same run, or has to be seen
// twice: other work on the machine must not look like a fault of the program.
package drain

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// A Verdict says what one experiment has found.
type Verdict string

// The verdicts. What does not apply to a program is not counted.
const (
	OK            Verdict = "ok"
	Fault         Verdict = "fault"
	NotApplicable Verdict = "n/a"
)

// A Row is the outcome of one experiment.
type Row struct {
	Name    string        // of the experiment
	Verdict Verdict       // what it has found
	Figure  string        // what was measured, or why it does not apply; one line
	Means   string        // what the row is about
	Mend    string        // what to do if it is a fault
	Took    time.Duration // a repetition included
}

// A Report is the outcome of all experiments, in the order of [List].
type Report struct {
	Rows []Row         // one for each experiment
	Took time.Duration // all of it
}

// Count returns how many rows have the verdict v.
func (r *Report) Count(v Verdict) (n int) {
	for _, row := range r.Rows {
		if row.Verdict == v {
			n++
		}
	}
	return n
}

// parallel is how many experiments run at the same time, beside those that only wait, and how many
// instances are starting.
const parallel = 4

// Run carries the experiments out. An error says why they could not be: a config that makes no
// sense, a program that does not start, with its last output, or the end of ctx. When Run returns,
// nothing that it has started is left.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	begin := time.Now()
	chosen, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if err := supported(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &program{Config: cfg, starting: make(chan struct{}, parallel)}
	cfg.say("looking at the program")
	if err := p.discover(ctx); err != nil {
		return nil, err
	}
	defer func() {
		cancel(nil)
		p.idle.wait()
	}()

	rows := make([]Row, len(chosen))
	progress := progress{say: cfg.say, total: len(chosen), begin: time.Now()}
	slots := make(chan struct{}, parallel)
	var running sync.WaitGroup
	for _, i := range waitingFirst(chosen) {
		e := chosen[i]
		if !e.waits {
			slots <- struct{}{}
		}
		running.Go(func() {
			if !e.waits {
				defer func() { <-slots }()
			}
			progress.begins(e.name)
			begin := time.Now()
			f, err := e.try(ctx, p)
			if err != nil {
				cancel(fmt.Errorf("%s: %w", e.name, err))
				return
			}
			rows[i] = Row{e.name, f.verdict, f.figure, e.means, e.mend, time.Since(begin)}
			progress.ends(rows[i])
		})
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return &Report{Rows: rows, Took: time.Since(begin)}, nil
}

// waitingFirst returns the indices of the experiments: first of those that wait.
func waitingFirst(chosen []experiment) (order []int) {
	for _, waits := range []bool{true, false} {
		for i, e := range chosen {
			if e.waits == waits {
				order = append(order, i)
			}
		}
	}
	return order
}

// try runs an experiment. What may be chance has to be found twice.
func (e experiment) try(ctx context.Context, p *program) (finding, error) {
	if context.Cause(ctx) != nil {
		return finding{}, context.Cause(ctx)
	}
	first, err := e.run(ctx, p)
	if err != nil || first.verdict != Fault || first.sure {
		return first, err
	}
	second, err := e.run(ctx, p)
	if err == nil && second.verdict != Fault {
		second.figure += "; the first of two tries: " + first.figure
	}
	return second, err
}

// A finding is what an experiment has found.
type finding struct {
	verdict Verdict
	figure  string
	sure    bool // a fault that other work on the machine cannot have caused
}

func ok(format string, args ...any) finding {
	return finding{verdict: OK, figure: fmt.Sprintf(format, args...)}
}

func notApplicable(format string, args ...any) finding {
	return finding{verdict: NotApplicable, figure: fmt.Sprintf(format, args...)}
}

func fault(format string, args ...any) finding {
	return finding{verdict: Fault, figure: fmt.Sprintf(format, args...)}
}

func sureFault(format string, args ...any) finding {
	f := fault(format, args...)
	f.sure = true
	return f
}

// progress says what is being done, and how long it will still take if it goes on like this.
type progress struct {
	say   func(string)
	total int
	begin time.Time

	mu   sync.Mutex
	done int
}

func (p *progress) begins(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say(fmt.Sprintf("%d of %d done%s; trying %s", p.done, p.total, p.left(), name))
}

func (p *progress) left() string {
	if p.done == 0 {
		return ""
	}
	left := time.Since(p.begin) / time.Duration(p.done) * time.Duration(p.total-p.done)
	return fmt.Sprintf(", about %v left", max(left.Round(time.Second), time.Second))
}

func (p *progress) ends(r Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.say(fmt.Sprintf("%s: %s: %s", r.Name, r.Verdict, r.Figure))
}

// seconds is a duration as people read it.
func seconds(d time.Duration) time.Duration {
	if d > time.Millisecond {
		d = d.Round(time.Millisecond)
	}
	return oneline.Round(d)
}

// pause waits, or returns the cause of ctx's end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Supported tells whether this system has the signals that are needed.
func Supported() bool { return supported() == nil }
