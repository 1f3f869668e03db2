//go:build unix

package shutdown_test

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

// A machine that stands still, or a container out of processor time, does not answer for a while.
// What its clients have sent meanwhile is answered, although the time of a stage is over when it
// goes on.
func TestRequestsToASuspendedProcessAreAnswered(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes five seconds")
	}
	for name, test := range map[string]struct{ delay, stop string }{
		"in Delay":               {"2s", "/stop"},
		"in Linger":              {"0s", "/stop"},
		"in the reason's method": {"0s", "/stop-slowly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testproc.Start(t, "serves", test.delay)
			addr, _ := p.Stdout.Line()
			var conns []*conn
			for range 500 {
				c := dial(t, addr)
				c.get("/")
				conns = append(conns, c)
			}
			dial(t, addr).send(test.stop)
			p.Stdout.Expect("stops")

			p.Signal(syscall.SIGSTOP)
			for _, c := range conns {
				c.send("/")
			}
			time.Sleep(3 * sec)
			p.Signal(syscall.SIGCONT)
			for _, c := range conns {
				resp, _ := c.receive()
				require.Equal(t, http.StatusOK, resp.StatusCode)
			}
			assert.Equal(t, 0, p.Wait(), "%s", &p.Stderr)
		})
	}
}
