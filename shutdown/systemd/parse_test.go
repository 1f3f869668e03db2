package systemd_test

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

func TestNotifyAddress(t *testing.T) {
	tests := []struct{ socket, want, wantErr string }{
		{"", "", ""},
		{"/run/systemd/notify", "/run/systemd/notify", ""},
		{"@/org/freedesktop/systemd1/notify", "@/org/freedesktop/systemd1/notify", ""},
		{"vsock:2:1234", "", `systemd: NOTIFY_SOCKET is "vsock:2:1234": addresses of virtual machines (vsock) are not supported, want an absolute path or @name`},
		{"vsock-stream:2:1234", "", `systemd: NOTIFY_SOCKET is "vsock-stream:2:1234": addresses of virtual machines (vsock) are not supported, want an absolute path or @name`},
		{"run/notify", "", `systemd: NOTIFY_SOCKET is "run/notify": want an absolute path or @name`},
		{"@", "", `systemd: NOTIFY_SOCKET is "@": want an absolute path or @name`},
		{"/", "", `systemd: NOTIFY_SOCKET is "/": want an absolute path or @name`},
		{"/a\x00b", "", `systemd: NOTIFY_SOCKET is "/a\x00b": it contains a zero byte`},
	}
	for _, tt := range tests {
		t.Run(tt.socket, func(t *testing.T) {
			if strings.HasPrefix(tt.want, "@") && runtime.GOOS != "linux" {
				tt.want, tt.wantErr = "", `systemd: NOTIFY_SOCKET is "`+tt.socket+`": only Linux has abstract sockets, want an absolute path`
			}
			got, err := systemd.NotifyAddress(tt.socket)
			assert.Equal(t, tt.want, got)
			checkError(t, tt.wantErr, err)
		})
	}
}

func FuzzNotifyAddress(f *testing.F) {
	for _, seed := range []string{"", "/run/systemd/notify", "@abstract", "vsock:2:1", "relative", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, socket string) {
		got, err := systemd.NotifyAddress(socket)
		if err != nil {
			assert.Empty(t, got)
			assert.Contains(t, err.Error(), strconv.Quote(socket))
			return
		}
		assert.Equal(t, socket, got)
		assert.True(t, got == "" || got[0] == '/' || got[0] == '@', got)
	})
}

func TestWatchdogTimeout(t *testing.T) {
	const usecErr = "want a number of microseconds from 1 to 9223372036854775"
	tests := []struct {
		name, usec, pid string
		want            time.Duration
		wantErr         string
	}{
		{"unset", "", "", 0, ""},
		{"unset, with a PID", "", "17", 0, ""},
		{"for everyone", "30000000", "", 30 * time.Second, ""},
		{"for this process", "1", "17", time.Microsecond, ""},
		{"for another process", "30000000", "18", 0, ""},
		{"the most", "9223372036854775", "", 9223372036854775 * time.Microsecond, ""},
		{"more than the most", "9223372036854776", "", 0, `systemd: WATCHDOG_USEC is "9223372036854776", ` + usecErr},
		{"infinity", "18446744073709551615", "", 0, `systemd: WATCHDOG_USEC is "18446744073709551615", ` + usecErr},
		{"zero", "0", "", 0, `systemd: WATCHDOG_USEC is "0", ` + usecErr},
		{"negative", "-1", "", 0, `systemd: WATCHDOG_USEC is "-1", ` + usecErr},
		{"with a unit", "30s", "", 0, `systemd: WATCHDOG_USEC is "30s", ` + usecErr},
		{"no PID", "1", "self", 0, `systemd: WATCHDOG_PID is "self", want a process ID`},
		{"PID 0", "1", "0", 0, `systemd: WATCHDOG_PID is "0", want a process ID`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := systemd.WatchdogTimeout(tt.usec, tt.pid, 17)
			assert.Equal(t, tt.want, got)
			checkError(t, tt.wantErr, err)
		})
	}
}

func FuzzWatchdogTimeout(f *testing.F) {
	f.Add("30000000", "17", 17)
	f.Add("", "", 17)
	f.Add("-1", "x", 1)
	f.Fuzz(func(t *testing.T, usec, pid string, self int) {
		got, err := systemd.WatchdogTimeout(usec, pid, self)
		if err != nil {
			assert.Zero(t, got)
			return
		}
		if got != 0 { // the number that was given, and meant for us
			n, _ := strconv.ParseInt(usec, 10, 64)
			assert.Equal(t, n, got.Microseconds())
			if pid != "" {
				p, _ := strconv.Atoi(pid)
				assert.Equal(t, self, p)
			}
		}
	})
}

func TestParsePassed(t *testing.T) {
	tests := []struct {
		name, pid, fds, names string
		want                  []string
		wantErr               string
	}{
		{"unset", "", "", "", nil, ""},
		{"without LISTEN_PID", "", "2", "", nil, ""},
		{"without LISTEN_FDS", "17", "", "", nil, ""},
		{"for another process", "18", "2", "", nil, ""},
		{"for another process, whatever else it says", "18", "x", "a:b", nil, ""},
		{"without names", "17", "2", "", []string{"unknown", "unknown"}, ""},
		{"with names", "17", "3", "http:admin:http", []string{"http", "admin", "http"}, ""},
		{"with an empty name", "17", "2", "http:", []string{"http", ""}, ""},
		{"no PID", "me", "2", "", nil, `systemd: LISTEN_PID is "me", want a process ID`},
		{"PID 0", "0", "2", "", nil, `systemd: LISTEN_PID is "0", want a process ID`},
		{"none", "17", "0", "", nil, `systemd: LISTEN_FDS is "0", want a number from 1 to 2147483644`},
		{"no number", "17", "3 ", "", nil, `systemd: LISTEN_FDS is "3 ", want a number from 1 to 2147483644`},
		{"more than there are descriptors", "17", "2147483645", "", nil, `systemd: LISTEN_FDS is "2147483645", want a number from 1 to 2147483644`},
		{"too many names", "17", "1", "a:b", nil, `systemd: LISTEN_FDNAMES is "a:b", want 1 names, as LISTEN_FDS says`},
		{"too few names", "17", "2147483644", "a:b", nil, `systemd: LISTEN_FDNAMES is "a:b", want 2147483644 names, as LISTEN_FDS says`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			count, name, err := systemd.ParsePassed(tt.pid, tt.fds, tt.names, 17)
			var got []string
			for i := range count {
				got = append(got, name(i))
			}
			assert.Equal(t, tt.want, got)
			checkError(t, tt.wantErr, err)
		})
	}
}

func FuzzParsePassed(f *testing.F) {
	f.Add("17", "2", "http:admin")
	f.Add("17", "2147483644", "")
	f.Add("18", "x", ":::")
	f.Fuzz(func(t *testing.T, pid, fds, names string) {
		count, name, err := systemd.ParsePassed(pid, fds, names, 17)
		if err != nil || count == 0 {
			assert.Zero(t, count)
			return
		}
		n, err := strconv.Atoi(fds)
		require.NoError(t, err)
		assert.Equal(t, n, count)
		last := name(count - 1)
		if names == "" {
			assert.Equal(t, "unknown", last)
			return
		}
		got := make([]string, count)
		for i := range got {
			got[i] = name(i)
		}
		assert.Equal(t, names, strings.Join(got, ":"))
	})
}

func checkError(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		assert.NoError(t, err)
		return
	}
	assert.EqualError(t, err, want)
}

func TestNonsensePanicsWithItsName(t *testing.T) {
	assert.PanicsWithValue(t, "systemd: Watchdog(nil): a function is needed", func() { systemd.Watchdog(nil) })
}

// Everything can stay in a program that runs without systemd, on any system.
func TestWithoutServiceManager(t *testing.T) {
	for _, name := range []string{"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		t.Setenv(name, "")
	}
	t.Setenv("WATCHDOG_USEC", "no number") // not looked at
	require.NoError(t, systemd.Ready())
	require.NoError(t, systemd.Reloading())
	require.NoError(t, systemd.Status("all is well"))
	sockets, err := systemd.Listeners()
	require.NoError(t, err)
	assert.Empty(t, sockets)

	gs := shutdown.New()
	check := func(context.Context) error { t.Error("checked"); return nil }
	require.NoError(t, gs.AddManager(systemd.New(nil, systemd.Watchdog(check))))
	require.NoError(t, gs.Start(t.Context()))
	gs.Shutdown(nil)
	require.NoError(t, gs.Wait())
}

func TestNonsenseInTheEnvironmentFailsTheStart(t *testing.T) {
	tests := []struct{ socket, usec, want string }{
		{"vsock:2:1", "", `shutdown: starting manager systemd: systemd: NOTIFY_SOCKET is "vsock:2:1": addresses of virtual machines (vsock) are not supported, want an absolute path or @name`},
		{"/run/x", "soon", `shutdown: starting manager systemd: systemd: WATCHDOG_USEC is "soon", want a number of microseconds from 1 to 9223372036854775`},
	}
	for _, tt := range tests {
		t.Setenv("NOTIFY_SOCKET", tt.socket)
		t.Setenv("WATCHDOG_USEC", tt.usec)
		gs := shutdown.New()
		require.NoError(t, gs.AddManager(systemd.New()))
		require.EqualError(t, gs.Start(t.Context()), tt.want)
	}
}
