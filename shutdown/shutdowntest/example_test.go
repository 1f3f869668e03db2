package shutdowntest_test

import (
	"testing"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
)

func Example() {
	// In a file of your own tests. TestMain, or a step before the tests, has built ./yourserver.
	test := func(t *testing.T) {
		shutdowntest.Program(t, []string{"./yourserver", "-addr", "127.0.0.1:{port}"},
			shutdowntest.Path("ready", "/readyz"),
			shutdowntest.Path("slow", "/report"),
			shutdowntest.Grace(10*time.Second))
	}
	_ = test
}

func ExampleManager() {
	type lease struct{ shutdown.Manager } // a manager of your own
	test := func(t *testing.T) {
		shutdowntest.Manager(t, func() shutdown.Manager { return &lease{} })
	}
	_ = test
}
