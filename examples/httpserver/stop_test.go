//go:build unix

package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/internal/stoptest"
	"github.com/gracekit/gracekit/internal/testproc"
)

// markVariable is the file that the mode "marked" writes when main has returned, which it does when
// every callback has run.
const markVariable = "HTTPSERVER_TEST_MARK"

func mainThenMark() {
	main()
	if err := os.WriteFile(os.Getenv(markVariable), nil, 0o600); err != nil {
		os.Exit(9)
	}
}

func TestStopWithoutAReaderOfTheLog(t *testing.T) {
	stoptest.BrokenPipe(t, func(t *testing.T) stoptest.Service {
		mark := filepath.Join(t.TempDir(), "mark")
		p := testproc.New(t, "marked", "-addr", "127.0.0.1:0")
		p.Cmd.Env = append(p.Cmd.Env, markVariable+"="+mark)
		answered := make(chan struct{})
		return stoptest.Service{
			Process: p,
			Begin: func(log *testproc.Output) {
				url := log.Await(`msg=listening url=(\S+)/ `)[1]
				p.Signal(syscall.SIGHUP)
				log.Await(`log level changed`)
				go func() {
					defer close(answered)
					body, err := get(http.DefaultClient, url+"/slow?for=500ms")
					assert.NoError(t, err)
					assert.Equal(t, "That took 500ms.\n", body)
				}()
				log.Await(`slow request begins`)
			},
			Ended: func() {
				<-answered
				assert.FileExists(t, mark, "main did not return")
			},
		}
	})
}

// GNU timeout sends its signal twice, to the process and to its group. That is one request.
func TestTimeoutDoesNotForce(t *testing.T) {
	path, err := exec.LookPath("timeout")
	if err != nil {
		t.Skip(err)
	}
	version, _ := exec.Command(path, "--version").Output()
	if !strings.Contains(string(version), "coreutils") {
		t.Skipf("%s is not that of GNU coreutils: %s", path, version)
	}
	const times = 10
	var servers []*testproc.Process
	for range times {
		p := testproc.New(t, "main", "-addr", "127.0.0.1:0", "-delay", "300ms")
		// 3s, so that all of them serve by then on a busy machine, too.
		p.Cmd.Args = append([]string{path, "--preserve-status", "3", p.Cmd.Path}, p.Cmd.Args[1:]...)
		p.Cmd.Path = path
		servers = append(servers, p.Start())
	}
	for _, p := range servers {
		stdout, stderr, status := p.Run()
		assert.Equal(t, 0, status, "exit status; log:\n%s", stderr)
		for _, row := range []string{"delay", "ingress +http", "store +store"} {
			assert.Regexp(t, `\n  `+row+` .* ok\n`, stdout)
		}
		assert.NotContains(t, stderr, "exiting at once")
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	p := testproc.New(t, "main", "-addr", taken.Addr().String(), "-delay", "20s")
	stoptest.PortInUse(t, p, 20*time.Second)
}
