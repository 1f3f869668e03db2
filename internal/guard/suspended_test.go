//go:build unix

package guard_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/testproc"
)

func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"halfAMoment": halfAMoment})
	os.Exit(m.Run())
}

func halfAMoment() {
	fmt.Println("begin")
	fmt.Println(guard.Within(guard.Moment, "test", func() error {
		time.Sleep(guard.Moment / 2)
		return nil
	}))
}

// A container out of processor time stands still for a while. That is not a function that hangs.
func TestSuspendedProcessFindsNoFunctionThatHangs(t *testing.T) {
	p := testproc.Start(t, "halfAMoment")
	p.Stdout.Expect("begin")
	p.Signal(syscall.SIGSTOP)
	time.Sleep(3 * guard.Moment)
	p.Signal(syscall.SIGCONT)
	p.Stdout.Expect("<nil>")
	assert.Equal(t, 0, p.Wait())
}
