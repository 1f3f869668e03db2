package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const programVariable = "BENCH_PROGRAM"

// The program is the test binary, run again.
func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		main()
		return
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(sig) { // by whoever runs the tests; the program would inherit that
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	os.Exit(m.Run())
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), programVariable+"=1")
	return cmd
}

func bench(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := program(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func tables(t *testing.T, args ...string) report {
	t.Helper()
	stdout, stderr, err := bench(t, append(args, "-json", "-benchtime", "1x", "-count", "1")...)
	require.NoError(t, err, stderr)
	var r report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	return r
}

// peers are the modules that each table has to have, beside gracekit itself; "" is the standard
// library.
var peers = map[string][]string{
	"concurrent": {
		"", "golang.org/x/sync", "github.com/sourcegraph/conc", "github.com/samber/lo", "github.com/zeromicro/go-zero",
		"github.com/panjf2000/ants/v2", "github.com/alitto/pond/v2",
	},
	"health": {"", alexliesenfeldModule, hellofreshModule},
	"jsonx": {
		"", "github.com/json-iterator/go", "github.com/goccy/go-json", "github.com/bytedance/sonic", "github.com/buger/jsonparser",
		"github.com/tidwall/gjson",
	},
	"objectmeta": {"github.com/rs/xid", "github.com/oklog/ulid/v2", "github.com/google/uuid", "github.com/speps/go-hashids"},
	"reqid": {
		"", "github.com/go-chi/chi/v5", "github.com/gin-contrib/requestid", "github.com/gin-gonic/gin",
		"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
	},
	"shutdown": {""},
}

func TestEveryPackageBesideItsPeers(t *testing.T) {
	r := tables(t, "-rollout", "off")
	assert.NotEmpty(t, r.Environment.Go)
	assert.NotEmpty(t, r.Environment.CPU)
	assert.False(t, r.Environment.Date.IsZero())
	assert.Len(t, r.Tables, len(peers))
	for _, table := range r.Tables {
		t.Run(table.Package, func(t *testing.T) {
			seen := make(map[string]bool)
			for _, s := range table.Scenarios {
				t.Run(s.Name, func(t *testing.T) { checkScenario(t, s) })
				for _, row := range s.Rows {
					seen[row.Module] = true
				}
			}
			require.Contains(t, peers, table.Package)
			for _, module := range append(peers[table.Package], gracekit) {
				assert.True(t, seen[module], "no row of %q", module)
				delete(seen, module)
			}
			assert.Empty(t, seen, "peers that this test does not know")
		})
	}
}

func checkScenario(t *testing.T, s result) {
	own, best, measured := 0, 0, 0
	for _, row := range s.Rows {
		assert.Empty(t, row.Error, row.Name)
		assert.NotEmpty(t, row.Version, row.Name)
		if row.Module == gracekit {
			own++
			if s.Name != "one member" && row.Skipped == "" {
				assert.Empty(t, row.Lacks, row.Name)
			}
		}
		if row.Skipped != "" || !row.Measured {
			continue
		}
		measured++
		require.NotNil(t, row.Value, row.Name)
		assert.Positive(t, *row.Value, row.Name)
		if row.Ratio == nil {
			assert.NotEmpty(t, row.Unranked, row.Name)
			continue
		}
		assert.GreaterOrEqual(t, *row.Ratio, 1.0, row.Name)
		if *row.Ratio == 1 {
			best++
		}
	}
	assert.Positive(t, own, "no row of gracekit")
	assert.True(t, best > 0 || measured == 0, "no best row")
}

// What makes the others differ is found out by trying, so the tries have to be right.
func TestWhatPeersLack(t *testing.T) {
	t.Parallel()
	r := tables(t, "-run", "concurrent/1000 items, no work, 8|reqid/a request with an ID")
	lacks := make(map[string][]string)
	for _, table := range r.Tables {
		for _, row := range table.Scenarios[0].Rows {
			lacks[row.Name] = row.Lacks
		}
	}
	assert.Empty(t, lacks["gracekit concurrent.Map"])
	assert.Empty(t, lacks["errgroup"])
	assert.Equal(t, []string{"order"}, lacks["conc pool"])
	assert.Equal(t, []string{"limit", "cancelling running items"}, lacks["lo/parallel"])
	assert.Empty(t, lacks["gracekit reqid.Middleware"])
	assert.Equal(t, []string{"the ID in the response", "validation"}, lacks["chi RequestID"])
	assert.Equal(t, []string{"validation"}, lacks["gin-contrib/requestid"])
}

func TestShutdownIsTheRolloutExperiment(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs examples/rollout; not with -short")
	}
	t.Parallel()
	r := tables(t, "-run", "shutdown/.*/SIGKILL")
	require.Len(t, r.Tables, 1)
	require.Len(t, r.Tables[0].Scenarios, 1)
	require.Len(t, r.Tables[0].Scenarios[0].Rows, 1)
	row := r.Tables[0].Scenarios[0].Rows[0]
	if row.Skipped != "" {
		t.Skip(row.Skipped)
	}
	assert.Regexp(t, `^\d+ of \d+ requests, \d+ replacements, p99 `, row.Note)
	require.NotNil(t, row.Value)
	assert.Positive(t, *row.Value, "killing loses requests")
}

func TestText(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := bench(t, "-packages", "objectmeta", "-benchtime", "1x", "-count", "2")
	require.NoError(t, err, stderr)
	lines := strings.Split(stdout, "\n")
	assert.Regexp(t, `^go1\.\d.*, GOMAXPROCS \d+, \d{4}-\d\d-\d\d \d\d:\d\d UTC; medians of 2 rounds of 1x$`, lines[0])
	assert.Equal(t, "=== objectmeta: IDs to show to the world", lines[2])
	assert.Regexp(t, `^name +version +result +± +bytes +allocs +ratio +remarks$`, lines[3])
	assert.Equal(t, "-- make an ID", lines[4])
	assert.Regexp(t, `(?m)^gracekit Hasher\.Encode +this tree +[\d.]+(ns|µs|ms) +\d+% +\d+ +\d+ +[\d.]+  such as secret-[0-9a-z]{6}$`, stdout)
	assert.Regexp(t, `(?m)^xid +\S+ +[\d.]+(ns|µs|ms) +\d+% +\d+ +\d+ +[\d.]+  lacks: hiding the order; such as `, stdout)
	assert.Regexp(t, `(?m)^go-hashids, built once +- +780ns +- +- +- +[\d.]+  a figure recorded elsewhere, not measured here$`, stdout)
	assert.Contains(t, stderr, "objectmeta: make an ID, round 2 of 2\n")

	// The columns stand below their names, though ± and µ are of two bytes.
	column := utf8.RuneCountInString(lines[3][:strings.Index(lines[3], "remarks")])
	for _, line := range lines[5:] {
		if before, _, ok := strings.Cut(line, "lacks:"); ok {
			assert.Equal(t, column, utf8.RuneCountInString(before), line)
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := bench(t, "-run", "objectmeta/read", "-benchtime", "1x", "-count", "1", "-markdown")
	require.NoError(t, err, stderr)
	assert.Contains(t, stdout, "\n### objectmeta: IDs to show to the world\n\nread an ID:\n\n| name | version | ")
	assert.Contains(t, stdout, "|\n|---|---|--:|--:|--:|--:|--:|---|\n| gracekit Hasher.Decode | this tree | ")
	assert.NotContains(t, stdout, "make an ID")
}

func TestList(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := bench(t, "-list", "-run", "uuid$")
	require.NoError(t, err, stderr)
	assert.Equal(t, "objectmeta/read an ID/uuid\n", stdout)
	assert.Empty(t, stderr)
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-x"}, "flag provided but not defined: -x (-help lists the flags)"},
		{"argument", []string{"all"}, `unexpected argument "all" (-help lists the flags)`},
		{"unknown package", []string{"-packages", "reqid,log"}, `-packages has "log", want some of concurrent,health,jsonx,objectmeta,reqid,shutdown, or all`},
		{"package twice", []string{"-packages", "reqid, reqid"}, `-packages has "reqid" twice`},
		{"regexp", []string{"-run", "("}, "-run is \"(\": error parsing regexp: missing closing ): `(`"},
		{"matches nothing", []string{"-run", "nothing"}, `-run "nothing" matches nothing (-list shows the names)`},
		{"benchtime", []string{"-benchtime", "0s"}, `-benchtime is "0s", want a positive duration such as 100ms, or a number of runs such as 3x`},
		{"benchtime in times", []string{"-benchtime", "-3x"}, `-benchtime is "-3x", want a positive duration such as 100ms, or a number of runs such as 3x`},
		{"count", []string{"-count", "0"}, "-count is 0, want 1 to 1000"},
		{"rollout", []string{"-rollout", "long"}, `-rollout is "long", want short, full or off`},
		{"two formats", []string{"-json", "-markdown"}, "-json and -markdown exclude each other"},
		{"document that is not there", []string{"-write", "none.md"}, "-write: open none.md: no such file or directory"},
		{"part of a document", []string{"-write", "RESULTS.md", "-run", "x"}, "-write wants all packages, and no -run"},
		{"picture of a list", []string{"-list", "-svg", "charts"}, "-list measures nothing that -svg or -write could show"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := bench(t, c.args...)
			require.Error(t, err)
			assert.Empty(t, stdout)
			assert.Equal(t, "bench: "+c.want+"\n", stderr)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := bench(t, "-help")
	require.NoError(t, err)
	assert.Empty(t, stdout)
	assert.True(t, strings.HasPrefix(stderr, "usage: bench [flags]\n"), stderr)
	assert.Contains(t, stderr, "-benchtime long")
}
