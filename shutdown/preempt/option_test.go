package preempt_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/shutdown/preempt"
)

func TestOptionsPanic(t *testing.T) {
	tests := []struct {
		name, want string
		option     func() preempt.Option
	}{
		{
			"a negative interval", "preempt: Every(-1s): must be positive",
			func() preempt.Option { return preempt.Every(-time.Second) },
		},
		{
			"no interval", "preempt: Every(0s): must be positive",
			func() preempt.Option { return preempt.Every(0) },
		},
		{
			"an unknown kind", `preempt: Kinds("Reboot"): unknown, must be a Kind of this package`,
			func() preempt.Option { return preempt.Kinds(preempt.Pause, "Reboot") },
		},
		{
			"no function", "preempt: OnOther(nil): a function is needed",
			func() preempt.Option { return preempt.OnOther(nil) },
		},
	}
	for _, endpoint := range []string{
		"", "169.254.169.254", "http://", "ftp://169.254.169.254", "http://localhost/latest",
		"http://user@localhost", "http://localhost?q", "http://%zz",
	} {
		tests = append(tests, struct {
			name, want string
			option     func() preempt.Option
		}{
			"the endpoint " + endpoint,
			`preempt: Endpoint("` + endpoint + `"): must be like http://169.254.169.254`,
			func() preempt.Option { return preempt.Endpoint(endpoint) },
		})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.PanicsWithValue(t, tt.want, func() { tt.option() })
		})
	}
}

func TestNilOptionIsSkipped(t *testing.T) {
	for _, p := range providers {
		assert.NotPanics(t, func() { p.manager(nil, preempt.Endpoint("http://[fd00:ec2::254]/"), nil) })
	}
}
