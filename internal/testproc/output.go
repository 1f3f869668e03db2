//go:build unix || windows

package testproc

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// An Output holds what a process has written to one of its outputs. Only String may be called from
// other goroutines than that of the test.
type Output struct {
	t    testing.TB
	name string
	p    *Process

	mu   sync.Mutex
	cond sync.Cond // signalled when more has been written, or the output is closed
	buf  bytes.Buffer
	next int // where Line continues
	done bool
}

func (o *Output) init(t testing.TB, name string, p *Process) {
	o.t, o.name, o.p = t, name, p
	o.cond.L = &o.mu
}

// Write is called by package os/exec.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cond.Broadcast()
	return o.buf.Write(b)
}

func (o *Output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = true
	o.cond.Broadcast()
}

// String returns all that has been written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Line waits for the next line and returns it, or "" and false if the process has ended and nothing
// is left.
func (o *Output) Line() (line string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		rest := o.buf.Bytes()[o.next:]
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			o.next += end + 1
			return string(rest[:end]), true
		}
		if o.done {
			o.next += len(rest)
			return string(rest), len(rest) > 0
		}
		o.cond.Wait()
	}
}

// Rest waits for the end of the process and returns what Line has not returned yet.
func (o *Output) Rest() string {
	var rest strings.Builder
	<-o.p.ended
	for line, ok := o.Line(); ok; line, ok = o.Line() {
		rest.WriteString(line + "\n")
	}
	return rest.String()
}

// Expect waits for the next lines and fails the test if they are not these.
func (o *Output) Expect(lines ...string) {
	o.t.Helper()
	for _, want := range lines {
		got, ok := o.Line()
		if !ok {
			o.t.Fatalf("the process ended before %s had the line %q; %s", o.name, want, o.p.wrote())
		}
		if got != want {
			o.t.Fatalf("%s: got the line %q, want %q", o.name, got, want)
		}
	}
}

// Await waits until pattern matches what has been written, and returns the first match and its
// groups. It fails the test if the process ends first.
func (o *Output) Await(pattern string) []string {
	o.t.Helper()
	re := regexp.MustCompile(pattern)
	o.mu.Lock()
	for {
		found, done := re.FindStringSubmatch(o.buf.String()), o.done
		if found != nil || done {
			o.mu.Unlock()
			if found == nil {
				o.t.Fatalf("the process ended before %s had %q; %s", o.name, pattern, o.p.wrote())
			}
			return found
		}
		o.cond.Wait()
	}
}

func (p *Process) wrote() string {
	return "it wrote " + p.Stdout.String() + "\nand to standard error " + p.Stderr.String()
}
