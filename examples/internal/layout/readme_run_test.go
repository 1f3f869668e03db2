//go:build unix

package layout

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program of the README runs, logs what the README says it logs, and stops on Ctrl-C.
func TestReadmeProgramRuns(t *testing.T) {
	program, _ := goBlocks(t)
	const address = "127.0.0.1:8080" // may be in use here
	require.Contains(t, program, address)
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	source := strings.Replace(program, address, "127.0.0.1:0", 1)
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
	goCommand(t, root, "build", "-o", filepath.Join(dir, "program"), file)

	p := start(t, exec.Command(filepath.Join(dir, "program")))
	line, addr := p.await(`service started serving="\[api on (\S+)\]"`)
	assert.Contains(t, read(t, "README.md"), strings.ReplaceAll(line, addr, address))
	assert.Equal(t, "hello\n", get(t, "http://"+addr+"/"))
	stdout, status := p.interrupt()
	assert.Equal(t, 0, status, "exit status")
	assert.Contains(t, stdout, "shutdown: signals: received interrupt, by posixsignal")
}

// What the README lets newcomers try first: the commands, the addresses, and what is printed.
func TestReadmeTryIt(t *testing.T) {
	readme := read(t, "README.md")
	tryIt := readme[strings.Index(readme, "## Try it"):strings.Index(readme, "## One program")]
	m := regexp.MustCompile(`(?m)^    go (run .*)$`).FindStringSubmatch(tryIt)
	require.NotNil(t, m, "no go run")
	cmd := exec.Command("go", append(strings.Fields(m[1]), "-addr", "127.0.0.1:0")...)
	cmd.Dir = root
	p := start(t, cmd)
	_, addr := p.await(`msg=listening url=http://([^/]+)/`)

	var pages, texts []string
	address := regexp.MustCompile(`http://127\.0\.0\.1:8080(/[^\s']*)`)
	for _, m := range address.FindAllStringSubmatch(tryIt, -1) {
		pages = append(pages, m[1])
	}
	require.Equal(t, []string{"/readyz", "/slow?for=3s"}, pages)
	for _, page := range pages {
		texts = append(texts, get(t, "http://"+addr+page))
	}
	assert.Equal(t, "ok\n", texts[0])
	assert.Contains(t, tryIt, "`"+strings.TrimSpace(texts[1])+"`")

	stdout, status := p.interrupt()
	assert.Equal(t, 1, status, "the exit status of go run")
	printed := strings.Trim(fenced.FindString(tryIt), "`\n")
	assert.Equal(t, withoutTimes(printed), withoutTimes(strings.TrimSpace(stdout)))
}

// withoutTimes leaves the names and the order of a timeline.
func withoutTimes(timeline string) string {
	timeline = regexp.MustCompile(`\|[ #]*\|`).ReplaceAllString(timeline, "|")
	timeline = regexp.MustCompile(`\b[0-9.]+(ns|µs|ms|s)\b`).ReplaceAllString(timeline, "time")
	return regexp.MustCompile(` +`).ReplaceAllString(timeline, " ")
}

type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr *bufio.Scanner
}

// start runs a program in a process group of its own: Ctrl-C goes to a group.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	if signal.Ignored(os.Interrupt) { // by a script that runs this in the background
		signal.Notify(make(chan os.Signal, 1), os.Interrupt) // or the program would inherit that
	}
	p := &process{t: t, cmd: cmd}
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdout = &p.stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	p.stderr = bufio.NewScanner(stderr)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return p
}

// await reads the log up to what the expression matches.
func (p *process) await(expression string) (match, group string) {
	p.t.Helper()
	var log strings.Builder
	for p.stderr.Scan() {
		log.WriteString(p.stderr.Text() + "\n")
		if m := regexp.MustCompile(expression).FindStringSubmatch(p.stderr.Text()); m != nil {
			return m[0], m[1]
		}
	}
	require.Fail(p.t, "not in the log: "+expression, log.String())
	return "", ""
}

// interrupt does what Ctrl-C does, and returns when the program has ended.
func (p *process) interrupt() (stdout string, status int) {
	p.t.Helper()
	require.NoError(p.t, syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT))
	for p.stderr.Scan() {
	}
	_ = p.cmd.Wait() // the status says it
	return p.stdout.String(), p.cmd.ProcessState.ExitCode()
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode, url)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}
