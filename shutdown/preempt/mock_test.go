package preempt_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/preempt"
)

// AWS's own mock of its metadata service, github.com/aws/amazon-ec2-metadata-mock, with version 2
// of the protocol only. Its times are whole seconds.
func TestEC2MetadataMock(t *testing.T) {
	mock := os.Getenv("GRACEKIT_TEST_EC2_METADATA_MOCK")
	if mock == "" {
		t.Skip("GRACEKIT_TEST_EC2_METADATA_MOCK is not set; it is the path of the program that " +
			"go install github.com/aws/amazon-ec2-metadata-mock/cmd/ec2-metadata-mock@v1.13.0 builds")
	}
	tests := []struct {
		name   string
		args   []string
		kind   preempt.Kind
		event  string
		within time.Duration // of At from the notice; zero if there is no At
		others []preempt.Kind
	}{
		{
			"spot, terminate",
			[]string{"spot", "--action=terminate", "--mock-delay-sec=3", "--rebalance-delay-sec=100"},
			preempt.Preemption, "terminate", 2 * time.Minute, nil,
		},
		{
			"spot, stop, with a recommendation before",
			[]string{"spot", "--action", "stop", "--mock-delay-sec", "4"},
			preempt.Preemption, "stop", 2 * time.Minute, []preempt.Kind{preempt.Rebalance},
		},
		{
			"asglifecycle", []string{"asglifecycle", "--asg-termination-delay-sec", "3"},
			preempt.Termination, "Terminated", 0, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			endpoint := startMock(t, mock, append(tt.args, "--imdsv2")...)
			var others told
			gs := shutdown.New()
			require.NoError(t, gs.AddManager(preempt.AWS(
				preempt.Endpoint(endpoint), preempt.Every(100*time.Millisecond),
				others.option(),
			)))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only a failing test reaches it
			defer cancel()
			require.NoError(t, gs.Run(ctx))

			n := &preempt.Notice{}
			require.ErrorAs(t, gs.Report().Reason, &n)
			assert.Equal(t, tt.kind, n.Kind)
			assert.Equal(t, tt.event, n.Event)
			if tt.within == 0 {
				assert.Zero(t, n.At)
			} else {
				assert.WithinDuration(t, gs.Report().Start.Add(tt.within), n.At, 3*time.Second)
			}
			assert.Equal(t, tt.others, others.all())
		})
	}
}

// startMock returns the URL of a mock that answers.
func startMock(t *testing.T, program string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(testproc.FreeAddress(t))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, program, append(args, "--hostname", host, "--port", port)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // where it looks for a configuration
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the mock says:\n%s", &output)
		}
	})
	url := "http://" + net.JoinHostPort(host, port)
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := direct.Get(url)
		if err == nil {
			resp.Body.Close()
			return url
		}
		require.True(t, time.Now().Before(end), "the mock does not answer: %v", err)
	}
}
