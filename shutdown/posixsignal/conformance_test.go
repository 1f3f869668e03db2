package posixsignal_test

import (
	"testing"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
)

func TestConformance(t *testing.T) {
	shutdowntest.Manager(t, func() shutdown.Manager { return posixsignal.New() })
}
