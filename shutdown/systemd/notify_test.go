//go:build unix

package systemd_test

import (
	"errors"
	"math"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown/systemd"
)

func TestNotify(t *testing.T) {
	r := record(t)
	require.NoError(t, systemd.Ready())
	require.NoError(t, systemd.Status("filling the cache: 40%"))
	assert.Equal(t, []string{"READY=1\n", "STATUS=filling the cache: 40%\n"}, r.received())
}

func TestAbstractSocket(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has abstract sockets")
	}
	r := recordAt(t, "@gracekit-test-"+strconv.Itoa(syscall.Getpid()))
	require.NoError(t, systemd.Ready())
	assert.Equal(t, []string{"READY=1\n"}, r.received())
}

func TestErrorsSayWhatWasNotSent(t *testing.T) {
	r := record(t)
	r.close()
	require.EqualError(t, systemd.Ready(), "systemd: sending READY=1: dial unixgram "+r.address+": connect: no such file or directory")
	require.ErrorIs(t, systemd.Reloading(), syscall.ENOENT)
	require.EqualError(t, systemd.Status("x"), "systemd: sending STATUS: dial unixgram "+r.address+": connect: no such file or directory")

	t.Setenv("NOTIFY_SOCKET", "notify")
	require.EqualError(t, systemd.Ready(), `systemd: NOTIFY_SOCKET is "notify": want an absolute path or @name`)
}

// READY=1 is worth waiting for: without it the service is killed.
func TestReadyWaitsForRoom(t *testing.T) {
	r := record(t)
	r.fill()
	result := make(chan error)
	go func() { result <- systemd.Ready() }()
	var last string
	for last != "READY=1\n" {
		last = r.next()
	}
	require.NoError(t, <-result)
}

func TestConcurrentUse(t *testing.T) {
	r := record(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { assert.NoError(t, systemd.Ready()) })
		wg.Go(func() { assert.NoError(t, systemd.Status("x")) })
	}
	for range 16 {
		r.next()
	}
	wg.Wait()
}

var reloading = regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=(\d+)\n$`)

func monotonicUsec(t *testing.T, datagram string) int {
	t.Helper()
	match := reloading.FindStringSubmatch(datagram)
	require.NotNil(t, match, datagram)
	usec, err := strconv.Atoi(match[1])
	require.NoError(t, err)
	return usec
}

func TestReloading(t *testing.T) {
	r := record(t)
	if runtime.GOOS != "linux" {
		require.NoError(t, systemd.Reloading())
		assert.Equal(t, []string{"RELOADING=1\n"}, r.received())
		return
	}
	before := time.Now()
	require.NoError(t, systemd.Reloading())
	first := monotonicUsec(t, r.next())
	require.NoError(t, systemd.Reloading())
	second := monotonicUsec(t, r.next())
	elapsed := time.Since(before)
	assert.Positive(t, first)
	assert.GreaterOrEqual(t, second, first)
	assert.LessOrEqual(t, second-first, int(elapsed.Microseconds())+1)
}

// The clock is the one that systemd itself reads.
func TestReloadingBesideSystemdNotify(t *testing.T) {
	tool, err := exec.LookPath("systemd-notify")
	if err != nil {
		t.Skip("there is no systemd-notify on this machine")
	}
	r := record(t)
	theirs := func() int {
		if out, err := exec.Command(tool, "--reloading", "--no-block").CombinedOutput(); err != nil {
			t.Skipf("this systemd-notify has no --reloading: %s", out)
		}
		return monotonicUsec(t, r.next())
	}
	before := theirs()
	require.NoError(t, systemd.Reloading())
	ours := monotonicUsec(t, r.next())
	assert.LessOrEqual(t, before, ours)
	assert.LessOrEqual(t, ours, theirs())
}

func TestStatusIsOneLine(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "STATUS=\n"},
		{"assignments in it", "bad input: x\nMAINPID=1\r\nSTOPPING=1", `STATUS=bad input: x\nMAINPID=1\r\nSTOPPING=1` + "\n"},
		{"not English", "bereit: 40 % für 世界", "STATUS=bereit: 40 % für 世界\n"},
		{"control characters", "\x1b[31mred\x00", `STATUS=\x1b[31mred\x00` + "\n"},
		{"not UTF-8", "a\xffb", "STATUS=a\uFFFDb\n"},
		{"as long as may be", strings.Repeat("a", 2044), "STATUS=" + strings.Repeat("a", 2044) + "\n"},
		{"too long", strings.Repeat("世", 1000), "STATUS=" + strings.Repeat("世", 681) + "…\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record(t)
			require.NoError(t, systemd.Status(tt.text))
			assert.Equal(t, []string{tt.want}, r.received())
		})
	}
}

func FuzzStatus(f *testing.F) {
	for _, seed := range []string{"", "ready", "a\nREADY=1", "\xff\x00", strings.Repeat("世", 1000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := record(t)
		require.NoError(t, systemd.Status(text))
		datagram := r.next()
		assert.True(t, strings.HasPrefix(datagram, "STATUS="))
		assert.Equal(t, len(datagram)-1, strings.IndexByte(datagram, '\n'), "one line")
		assert.True(t, utf8.ValidString(datagram))
		assert.LessOrEqual(t, len(datagram), len("STATUS=\n")+2048)
	})
}

func TestExtendTimeout(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{90 * time.Second, "EXTEND_TIMEOUT_USEC=90000000\n"},
		{1500 * time.Microsecond, "EXTEND_TIMEOUT_USEC=1500\n"},
		{1, "EXTEND_TIMEOUT_USEC=1\n"}, // systemd ignores 0
		{time.Microsecond + 1, "EXTEND_TIMEOUT_USEC=2\n"},
		{math.MaxInt64, "EXTEND_TIMEOUT_USEC=9223372036854776\n"},
	}
	for _, tt := range tests {
		t.Run(tt.d.String(), func(t *testing.T) {
			r := record(t)
			require.NoError(t, systemd.ExtendTimeout(tt.d))
			assert.Equal(t, []string{tt.want}, r.received())
		})
	}
	for _, d := range []time.Duration{0, -time.Second} {
		t.Run(d.String(), func(t *testing.T) {
			r := record(t)
			require.EqualError(t, systemd.ExtendTimeout(d),
				"systemd: ExtendTimeout("+d.String()+"): must be positive")
			assert.Empty(t, r.received())
		})
	}
}

func TestExtendTimeoutWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	require.NoError(t, systemd.ExtendTimeout(time.Minute))
}

var errCheck = errors.New("event loop is stuck\nfor 20s")
