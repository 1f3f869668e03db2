package concurrent_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/concurrent"
)

func TestItemError(t *testing.T) {
	err := error(&concurrent.ItemError{Index: 3, Err: errItem})
	if err.Error() != "item 3: item failed" || !errors.Is(err, errItem) {
		t.Errorf("got %v", err)
	}
}

// textCounter is a value to panic with.
type textCounter struct{ calls int }

func (c *textCounter) Error() string { c.calls++; return "call " + strconv.Itoa(c.calls) }

// The text of a panic is made once, where it happens: whoever prints the error later calls no
// method of the value.
func TestPanicErrorKeepsItsText(t *testing.T) {
	value := new(textCounter)
	got := caught(func() {
		concurrent.ForEach(t.Context(), numbers(1),
			func(context.Context, int) error { panic(value) })
	})
	p, ok := got.(*concurrent.PanicError)
	if !ok {
		t.Fatalf("got panic %v of type %T, want a *PanicError", got, got)
	}
	for range 3 {
		if want := "panic: call 1\n\ngoroutine "; !strings.HasPrefix(p.Error(), want) {
			t.Errorf("got text\n%s\nwant %q", p.Error(), want)
		}
	}
	if value.calls != 1 {
		t.Errorf("Error was called %d times, want 1", value.calls)
	}
}

func TestPanicErrorMadeByHand(t *testing.T) {
	err := &concurrent.PanicError{Value: io.EOF, Stack: []byte("goroutine 1 [running]:")}
	if got, want := err.Error(), "panic: EOF\n\ngoroutine 1 [running]:"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The text of very many failures is one that a log can take. All of them are in the error.
func TestTextOfManyErrorsIsShort(t *testing.T) {
	const n = 100_000
	_, err := concurrent.Map(t.Context(), make([]struct{}, n),
		func(context.Context, struct{}) (int, error) {
			return 0, errItem
		}, concurrent.KeepGoing())
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 21 || lines[0] != "item 0: item failed" || lines[20] != "and 99980 more" {
		t.Errorf("got text %q", err)
	}
	if got := len(err.(interface{ Unwrap() []error }).Unwrap()); got != n {
		t.Errorf("got %d errors in it, want %d", got, n)
	}
	for _, n := range []int{19, 20, 21} {
		_, err := concurrent.Map(t.Context(), numbers(n), func(context.Context, int) (int, error) {
			return 0, errItem
		}, concurrent.KeepGoing())
		if got, more := strings.Count(err.Error(), "\n")+1,
			strings.HasSuffix(err.Error(), "and 1 more"); got != n || more != (n == 21) {
			t.Errorf("%d failures: got %d lines, more: %v", n, got, more)
		}
	}
}

// The same holds for calls in calls, and for items whose own errors are long.
func TestTextOfNestedErrorsIsShort(t *testing.T) {
	var call func(ctx context.Context, depth int) error
	call = func(ctx context.Context, depth int) error {
		if depth == 0 {
			return errItem
		}
		return concurrent.ForEach(ctx, numbers(30), func(ctx context.Context, _ int) error {
			return call(ctx, depth-1)
		}, concurrent.KeepGoing())
	}
	text := call(t.Context(), 3).Error()
	if n := strings.Count(text, "\n") + 1; n > 22 {
		t.Errorf("got %d lines:\n%s", n, text)
	}
	if !strings.HasPrefix(text, "item 0: item 0: item 0: item failed\n") || !strings.HasSuffix(text, "\nand 29 more") {
		t.Errorf("got %s", text)
	}
}

func TestLongTextAfterOthersIsCut(t *testing.T) {
	err := concurrent.ForEach(t.Context(), numbers(16), func(_ context.Context, i int) error {
		if i == 15 {
			return errors.New(strings.Repeat("line\n", 100))
		}
		return errItem
	}, concurrent.KeepGoing())
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 21 || lines[15] != "item 15: line" || lines[20] != "…" {
		t.Errorf("got %d lines:\n%s", len(lines), err)
	}
}
