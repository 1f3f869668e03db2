//go:build unix

package systemd_test

import (
	"testing"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

func TestConformance(t *testing.T) {
	newManager := func() shutdown.Manager { return systemd.New() }
	t.Run("with a service manager", func(t *testing.T) {
		record(t)
		t.Setenv("WATCHDOG_USEC", "20000000")
		shutdowntest.Manager(t, newManager)
	})
	t.Run("without one", func(t *testing.T) {
		t.Setenv("NOTIFY_SOCKET", "")
		shutdowntest.Manager(t, newManager)
	})
}
