//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	d := newPlace(t).start()
	refused := fmt.Sprintf("daemon: pid file %s: already running: pid %d\n", d.path("daemon.pid"), d.pid)

	t.Run("detached", func(t *testing.T) {
		stdout, stderr, status := d.run("-detach", "-addr", "127.0.0.1:0")
		assert.Equal(t, 1, status, "exit status")
		assert.Equal(t, refused, stderr)
		assert.Empty(t, stdout)
	})
	t.Run("in the foreground", func(t *testing.T) {
		_, stderr, status := d.run("-addr", "127.0.0.1:0")
		assert.Equal(t, 1, status, "exit status")
		assert.Equal(t, refused, stderr)
	})
	t.Run("whatever the file says", func(t *testing.T) {
		d.write("daemon.pid", "1\n")
		_, stderr, status := d.run("-detach", "-addr", "127.0.0.1:0")
		assert.Equal(t, 1, status, "exit status")
		assert.Equal(t, refused, stderr)
	})
	_, err := get(d.url)
	assert.NoError(t, err, "the first one serves")
	d.stop()
}

func TestOneOfManyStartsWins(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const starts = 20
	type result struct {
		stdout, stderr string
		status         int
	}
	results := make([]result, starts)
	var wg sync.WaitGroup
	for i := range results {
		cmd := p.command("-detach", "-addr", "127.0.0.1:0", "-pid-file", "daemon.pid", "-log-file", "daemon.log")
		wg.Go(func() {
			r := &results[i]
			r.stdout, r.stderr, r.status = cmd.Run()
		})
	}
	wg.Wait()

	var winners []daemon
	for _, r := range results {
		if r.status == 0 {
			winners = append(winners, p.started(r.stdout, r.stderr, r.status))
		}
	}
	require.Len(t, winners, 1, "%+v", results)
	for _, r := range results {
		if r.status != 0 {
			assert.Equal(t, fmt.Sprintf("daemon: pid file %s: already running: pid %d\n", p.path("daemon.pid"), winners[0].pid), r.stderr)
		}
	}
	assert.Equal(t, fmt.Sprintf("%d\n", winners[0].pid), p.read("daemon.pid"))
	assert.Equal(t, 1, strings.Count(p.read("daemon.log"), "msg=listening"))
	winners[0].stop()
}

// Between the opening and the locking of the file, the daemon that had it may remove it.
func TestLockOnAFileWithoutAName(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPlace(t).path("other.pid")
			file, err := os.Create(path)
			require.NoError(t, err)
			defer file.Close()
			require.NoError(t, between(path))
			taken, err := (&pidFile{path: path, file: file}).take()
			assert.NoError(t, err)
			assert.False(t, taken)
		})
	}
}

// A start that comes just as another daemon stops gets the lock or is refused; never do two run,
// and never is a lock held on a file that has lost its name.
func TestStartsWhileOthersStop(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for range 5 {
		first := p.start()
		first.signal(syscall.SIGTERM)
		var last daemon
		p.await(func() error {
			stdout, stderr, status := p.run("-detach", "-addr", "127.0.0.1:0", "-log-file", "daemon.log")
			if status != 0 {
				assert.Equal(t, fmt.Sprintf("daemon: pid file %s: already running: pid %d\n", p.path("daemon.pid"), first.pid), stderr)
				return fmt.Errorf("refused: %s", stderr)
			}
			last = p.started(stdout, stderr, status)
			return nil
		})
		stdout, _, _ := p.run("-status")
		assert.Equal(t, fmt.Sprintf("daemon: running, pid %d\n", last.pid), stdout)
		last.stop()
	}
}

// The file of a daemon that was killed is no obstacle.
func TestStalePIDFile(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	killed := p.start()
	killed.signal(syscall.SIGKILL)
	p.await(func() error { return mustNotRun(p) })
	assert.Equal(t, fmt.Sprintf("%d\n", killed.pid), p.read("daemon.pid"))
	p.write("daemon.pid", "longer than what a daemon writes\n") // all of it has to go

	d := p.start()
	assert.Equal(t, fmt.Sprintf("%d\n", d.pid), p.read("daemon.pid"))
	d.stop()
}

// The number in a file that is left behind may be that of some other process by now.
func TestRecycledPID(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	bystander := p.command("-addr", "127.0.0.1:0") // as good as any process: a signal would end it
	bystander.Start()
	p.write("daemon.pid", fmt.Sprintf("%d\n", bystander.Cmd.Process.Pid))

	stdout, stderr, status := p.run("-stop")
	assert.Equal(t, 0, status, "exit status; stderr: %s", stderr)
	assert.Equal(t, "daemon: not running\n", stdout)
	_, stderr, status = p.run("-status")
	assert.Equal(t, 3, status, "exit status")
	assert.Equal(t, "daemon: not running\n", stderr)
	_, _, status = p.run("-reload")
	assert.Equal(t, 3, status, "exit status")

	d := p.start()
	d.stop()
	require.NoError(t, bystander.Cmd.Process.Kill(), "it was alive")
	assert.Equal(t, -int(syscall.SIGKILL), bystander.Wait(), "nothing else has ended it")
}

func TestNoPIDFile(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for command, want := range map[string]int{"-stop": 0, "-status": 3, "-reload": 3} {
		_, _, status := p.run(command)
		assert.Equal(t, want, status, "exit status of %s", command)
	}
	entries, err := os.ReadDir(p.dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// A daemon removes its own pid file, and no other.
func TestPIDFileOfSomebodyElse(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	d := p.start()
	process, err := findDaemon(p.path("daemon.pid"))
	require.NoError(t, err)
	defer process.close()
	require.NoError(t, os.Rename(p.path("daemon.pid"), p.path("moved.pid")))
	p.write("daemon.pid", "another\n")
	d.signal(syscall.SIGTERM)
	p.await(func() error { return process.gone(t.Context()) })
	assert.Equal(t, "another\n", p.read("daemon.pid"))
}
