package jsonx_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

// childProbe is the environment variable that names the one probe a child process is to run.
const childProbe = "JSONX_TEST_PROBE"

func TestMain(m *testing.M) {
	if name := os.Getenv(childProbe); name != "" {
		debug.SetMaxStack(8 << 20) // a stack overflow ends a process; let it come soon
		for _, p := range allProbes() {
			if p.name == name {
				fmt.Print(describePanic(p.run))
				os.Exit(0)
			}
		}
		fmt.Printf("no probe %q", name)
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// inChild makes a probe run in a process of its own, because it may be the end of it.
func inChild(p probe) probe {
	run := p.run
	p.run = func() string {
		if os.Getenv(childProbe) != "" {
			return run()
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childProbe+"="+p.name)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if _, ok := errors.AsType[*exec.ExitError](err); ok && strings.Contains(stderr.String(), "stack overflow") {
			return "fatal error: stack overflow"
		}
		return outcome(string(out), err)
	}
	return p
}
