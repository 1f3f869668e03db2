//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// service is the program that is tried; it is built by TestMain.
var service string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "draintest-test")
	if err != nil {
		panic(err)
	}
	service = filepath.Join(dir, "service")
	build := exec.Command("go", "build", "-o", service, "./testdata/service")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// rounds is how often everything is tried, which takes some minutes each time; 0 stands for a part
// that shows that the machinery works.
func rounds(t *testing.T) int {
	t.Helper()
	n, _ := strconv.Atoi(os.Getenv("GRACEKIT_TEST_DRAIN"))
	return n
}

// The faults, each with the experiment that is meant for it.
var faults = []struct {
	name, row string
	usually   bool // tried in each run of the tests
}{
	{"dies", "exit", false},
	{"bare-shutdown", "replace-http1", true},
	{"closes-first", "readiness", false},
	{"never-unready", "readiness", true},
	{"main-returns", "in-flight", true},
	{"ignores-second", "second-signal", false},
	{"hangs", "hang", false},
	{"exit-1", "exit", false},
	{"drops-events", "events", true},
	{"leaves-child", "left-behind", true},
	{"sigpipe", "log-reader", true},
	{"queue", "queue", true},
	{"goaway", "replace-http2", true},
	{"closes-idle", "idle", false},
	{"second-server", "exit", false},
}

func TestFaultsAreFound(t *testing.T) {
	for round := range max(rounds(t), 1) {
		for _, f := range faults {
			if rounds(t) == 0 && !f.usually {
				continue
			}
			t.Run(fmt.Sprint(f.name, " ", round), func(t *testing.T) {
				t.Parallel()
				args := []string{"-grace", "4s"}
				if rounds(t) == 0 {
					args = append(args, "-only", f.row)
				}
				d, status := try(t, f.name, args...)
				assert.Equal(t, exitFaults, status)
				row := d.row(t, f.row)
				assert.Equal(t, "fault", row.Verdict, "%s: %s", f.row, row.Figure)
				assert.NotEmpty(t, row.Mend)
			})
		}
	}
}

func TestNoFalseAlarms(t *testing.T) {
	for round := range max(rounds(t), 1) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			if round > 0 {
				t.Parallel()
			}
			args := []string{"-large", "/large"}
			if rounds(t) == 0 {
				args = append(args, "-quick")
			}
			begin := time.Now()
			d, status := try(t, "none", args...)
			t.Logf("it took %v", time.Since(begin))
			assert.Zero(t, status)
			assert.True(t, d.OK)
			assert.Zero(t, d.NotApplicable)
			for _, row := range d.Rows {
				assert.Equal(t, "ok", row.Verdict, "%s: %s", row.Name, row.Figure)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	rows := "replace-http1,replace-http2,replace-grpc,in-flight,silent"
	status := run([]string{"-json", "-only", rows, "--", service, "-addr", "127.0.0.1:{port}", "-tls"},
		&stdout, &stderr)
	assert.Zero(t, status, "%s", &stderr)
	var d document
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &d))
	for _, row := range d.Rows {
		assert.Equal(t, "ok", row.Verdict, "%s: %s", row.Name, row.Figure)
	}
}

// Real balancers find out for themselves that an instance stops, or are told. What is in flight in
// one that dies is lost behind each of them.
func TestVia(t *testing.T) {
	const rows = "replace-http1,replace-newconn,replace-http2,replace-grpc"
	for _, tt := range []struct {
		balancer string
		passed   int
	}{
		{"caddy", 4},
		{"haproxy", 4},
		{"nginx", 1},
	} {
		t.Run(tt.balancer, func(t *testing.T) {
			t.Parallel()
			if !installed(tt.balancer) {
				t.Skipf("%s is not installed", tt.balancer)
			}
			tryVia := func(rows, path string, flags ...string) (d document, status int) {
				var stdout, stderr bytes.Buffer
				args := []string{"-json", "-via", tt.balancer, "-only", rows, "-path", path, "--",
					service, "-addr", "127.0.0.1:{port}"}
				status = run(append(args, flags...), &stdout, &stderr)
				require.NoError(t, json.Unmarshal(stdout.Bytes(), &d), "%s", &stderr)
				return d, status
			}
			for _, secure := range []string{"-tls=false", "-tls"} {
				d, status := tryVia(rows, "/", secure)
				assert.Zero(t, status, "%v", d.Rows)
				assert.Equal(t, tt.passed, d.Passed)
				assert.Equal(t, len(d.Rows)-tt.passed, d.NotApplicable)
			}
			_, status := tryVia("replace-newconn", "/slow", "-fault", "dies")
			assert.Equal(t, exitFaults, status)
		})
	}
}

func installed(balancer string) bool {
	for _, dir := range []string{"", "/usr/sbin/"} {
		if _, err := exec.LookPath(dir + balancer); err == nil {
			return true
		}
	}
	return false
}

// The advice for a fault mends it: a sleep before the same Shutdown.
func TestAdvice(t *testing.T) {
	t.Parallel()
	d, _ := try(t, "bare-shutdown", "-only", "replace-http1")
	row := d.row(t, "replace-http1")
	assert.Equal(t, "fault", row.Verdict, row.Figure)
	assert.Contains(t, row.Mend, "go on accepting and serving for longer than balancers")
	d, _ = try(t, "sleep-shutdown", "-only", "replace-http1")
	row = d.row(t, "replace-http1")
	assert.Equal(t, "ok", row.Verdict, row.Figure)
}

// What cannot be tried ends with a sentence that says what was expected.
func TestBadUse(t *testing.T) {
	server := func(fault string) []string {
		return []string{"--", service, "-addr", "127.0.0.1:{port}", "-fault", fault}
	}
	with := func(flag, value string) []string {
		return append([]string{flag, value}, server("none")...)
	}
	type test struct {
		name string
		args []string
		want string
	}
	tests := []test{
		{"no command", nil, `^draintest: there is no program to try: want -- \./yourserver .*\n$`},
		{"no port", []string{"--", service},
			`^draintest: the program is not told its port: want \{port\} .*\n$`},
		{"an unknown flag", []string{"-quik"},
			`^draintest: flag .*-quik \(-help lists the flags\)\n$`},
		{"an unknown experiment", with("-only", "hangs"),
			`^draintest: no experiment is called "hangs"; -list shows them\n$`},
		{"a header without a colon", with("-header", "x"), `want "Name: value"`},
		{"a path without a slash", with("-ready", "x"), `the path ready is "x", must begin with /`},
		{"an unknown balancer", with("-via", "apache"),
			`the balancer is "apache", want one of caddy, haproxy, nginx\n$`},
		{"a negative grace", with("-grace", "-1s"), `-grace and -lag must not be negative`},
		{"nothing left", append([]string{"-skip", "exit"}, with("-only", "exit")...), `nothing is left`},
		{"no such program", []string{"--", "/nonexistent/program", "{port}"},
			`the program cannot be started: .*`},
		{"it ends at once", server("exits"),
			`the program has ended, with exit status 1, before it listened at 127.0.0.1:\d+: want a ` +
				`server that .*; the last of the \d+ bytes that it has written:\n    no license found\n$`},
		{"it refuses to answer", server("mute"),
			`the program accepts connections at .*, but answers neither HTTP nor gRPC there: want`},
		{"it fails all requests", with("-path", "/broken"),
			`POST /broken fails before anything has stopped: the status is 500; want a .*-path`},
		{"it prints megabytes and ends", server("prints-and-exits"), `the last of the 7\d{6} bytes`},
	}
	if _, err := os.Stat("/proc/self/net/tcp"); err == nil { // where it can be seen
		tests = append(tests, test{"it listens elsewhere", server("elsewhere"),
			`the program listens at 127.0.0.1:\d+, and not at 127.0.0.1:\d+ as it was told: want {port}`})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			assert.Equal(t, exitUse, run(tt.args, &stdout, &stderr))
			assert.Empty(t, stdout.String())
			assert.Regexp(t, tt.want, stderr.String())
			assertNothingRuns(t, tt.args)
		})
	}
}

// Whatever a program starts ends with it, also what has left its process group.
func TestChildrenAreEnded(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip(err)
	}
	setsid, err := exec.LookPath("setsid")
	if err != nil {
		t.Skip(err)
	}
	var stdout, stderr bytes.Buffer
	script := setsid + " sleep 4711 & sleep 4712 & echo started; exit 3"
	assert.Equal(t, exitUse, run([]string{"--", "/bin/sh", "-c", script, "{port}"}, &stdout, &stderr))
	assert.Regexp(t, `ended, with exit status 3, before it listened(?s:.*)\n    started\n$`, stderr.String())
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, _ := os.ReadFile(file)
		assert.NotRegexp(t, `^sleep\x00471[12]\x00$`, string(line), "still running")
	}
}

func TestList(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run([]string{"-list"}, &stdout, &stderr))
	assert.Regexp(t, `(?m)^replace-http1 +quick +Two instances`, stdout.String())
	assert.Regexp(t, `(?m)^hang +With a request`, stdout.String())
	assert.Zero(t, run([]string{"-help"}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "-junit file")
}

func TestTableAndJUnit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "junit.xml")
	var stdout, stderr bytes.Buffer
	status := run([]string{"-only", "exit,readiness,liveness", "-grace", "3s", "-junit", file, "--",
		service, "-addr", "127.0.0.1:{port}", "-fault", "dies"}, &stdout, &stderr)
	assert.Equal(t, exitFaults, status, "%s", &stderr)
	assert.Regexp(t, `(?m)^exit +fault +the signal has ended it at once`, stdout.String())
	assert.Regexp(t, `(?m)^ +What to do: Return from main`, stdout.String())
	assert.Regexp(t, `(?m)^1 of 3 in order; `, stdout.String())
	for line := range bytes.Lines(stdout.Bytes()) {
		assert.LessOrEqual(t, len(line), width+1)
	}
	assert.Contains(t, stderr.String(), "trying readiness")

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var s suite
	require.NoError(t, xml.Unmarshal(text, &s))
	assert.Equal(t, 3, s.Tests)
	assert.Equal(t, 2, s.Failures)
	require.Len(t, s.Cases, 3)
	assert.Equal(t, "exit", s.Cases[2].Name)
	require.NotNil(t, s.Cases[2].Failure)
	assert.Contains(t, s.Cases[2].Failure.Message, "nothing in the program handles it")
	assert.Contains(t, s.Cases[2].Failure.Text, s.Cases[2].Failure.Message)
}

// document is what -json prints.
type document struct {
	OK            bool
	Passed        int
	NotApplicable int
	Rows          []tableRow
}

type tableRow struct{ Name, Verdict, Figure, Mend string }

func (d document) row(t *testing.T, name string) tableRow {
	t.Helper()
	for _, row := range d.Rows {
		if row.Name == name {
			return row
		}
	}
	require.Fail(t, "there is no row "+name)
	return tableRow{}
}

// try tries the service with a fault.
func try(t *testing.T, fault string, args ...string) (d document, status int) {
	t.Helper()
	grace := "2s"
	if fault == "none" {
		grace = "6s" // time enough for a client that reads slowly on a slow machine
	}
	args = append(args, "-json", "--", service, "-addr", "127.0.0.1:{port}", "-admin", "127.0.0.1:{port2}",
		"-grace", grace, "-fault", fault)
	var stdout, stderr bytes.Buffer
	status = run(args, &stdout, &stderr)
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &d), "%s", &stderr)
	assertNothingRuns(t, args)
	return d, status
}

// assertNothingRuns looks for a process with the fault among its arguments, where that can be seen.
// In several rounds at the same time there may be one.
func assertNothingRuns(t *testing.T, args []string) {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || len(args) == 0 || rounds(t) > 0 {
			continue
		}
		ours := bytes.HasPrefix(line, []byte(service+"\x00")) &&
			bytes.HasSuffix(line, []byte("\x00"+args[len(args)-1]+"\x00"))
		assert.False(t, ours, "still running: %q", line)
	}
}
