package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/internal/guard"
)

// A tree that contains itself.
type circle struct{}

func (*circle) Error() string     { return "circle" }
func (c *circle) Unwrap() []error { return []error{c, io.EOF, c} }

type loop struct{}

func (*loop) Error() string   { return "loop" }
func (l *loop) Unwrap() error { return l }

type uncomparable []string

func (uncomparable) Error() string { return "uncomparable" }

// timeout has the methods that errors.Is and errors.As ask.
type timeout struct{}

func (timeout) Error() string        { return "timeout" }
func (timeout) Is(target error) bool { return target == context.DeadlineExceeded }
func (timeout) As(target any) bool {
	p, ok := target.(**fs.PathError)
	if ok {
		*p = &fs.PathError{Op: "as"}
	}
	return ok
}

func TestTreesAsPackageErrorsSeesThem(t *testing.T) {
	path := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}
	for name, err := range map[string]error{
		"nil":          nil,
		"itself":       io.EOF,
		"wrapped":      fmt.Errorf("reading: %w", io.EOF),
		"joined":       errors.Join(errors.New("other"), fmt.Errorf("%w, %w", io.EOF, path)),
		"path":         path,
		"methods":      fmt.Errorf("call: %w", timeout{}),
		"first of two": errors.Join(&fs.PathError{Op: "first"}, path),
		"uncomparable": errors.Join(uncomparable{"a"}, io.EOF),
		"nil within":   fmt.Errorf("%w", error(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []error{io.EOF, fs.ErrNotExist, context.DeadlineExceeded, uncomparable{"a"}} {
				assert.Equal(t, errors.Is(err, target), guard.Is(err, target), "%v", target)
			}
			want, ok := errors.AsType[*fs.PathError](err)
			got, found := guard.AsType[*fs.PathError](err)
			assert.Equal(t, ok, found)
			assert.Equal(t, want, got)
		})
	}
}

func TestTreesThatContainThemselves(t *testing.T) {
	for name, err := range map[string]error{"several": &circle{}, "one": &loop{}} {
		t.Run(name, func(t *testing.T) {
			assert.False(t, guard.Is(err, context.Canceled))
			_, found := guard.AsType[*fs.PathError](errors.Join(err, &fs.PathError{}))
			assert.False(t, found, "it comes after an endless one")
		})
	}
	assert.True(t, guard.Is(errors.Join(io.EOF, &circle{}), io.EOF), "what comes first is found")
}
