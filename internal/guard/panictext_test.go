package guard_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/internal/guard"
)

func TestPanicText(t *testing.T) {
	stack := []byte("goroutine 1 [running]:")
	tests := []struct {
		name   string
		caught string
		value  any
		want   string
	}{
		{"caught", "panic: as it was", io.EOF, "panic: as it was\n\ngoroutine 1 [running]:"},
		{"caught, without text", "panic: ", "", "panic: \n\ngoroutine 1 [running]:"},
		{"made by hand", "", io.EOF, "panic: EOF\n\ngoroutine 1 [running]:"},
		{"made by hand, no error", "", 7, "panic: 7\n\ngoroutine 1 [running]:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, guard.PanicText(tt.caught, tt.value, stack))
		})
	}
}
