package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const wrong = `package main

import (
	"os"
	"os/signal"
)

func main() {
	c := make(chan os.Signal)
	signal.Notify(c, os.Interrupt)
	<-c
}
`

// Both ways to run it find a mistake, and -fix mends it.
func TestCommand(t *testing.T) {
	gracevet := filepath.Join(t.TempDir(), "gracevet.exe") // the suffix does no harm elsewhere
	run(t, ".", "", "go", "build", "-o", gracevet, ".")

	dir := t.TempDir()
	program := filepath.Join(dir, "main.go")
	write(t, filepath.Join(dir, "go.mod"), "module example.com/program\n\ngo 1.26\n")
	write(t, program, wrong)

	const finding = "main.go:10:2: the channel is unbuffered"
	run(t, dir, finding, "go", "vet", "-vettool="+gracevet, "./...")
	run(t, dir, finding, gracevet, "./...")
	run(t, dir, "", gracevet, "-sigkill", "./...")

	run(t, dir, "", gracevet, "-fix", "./...")
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(wrong, "make(chan os.Signal)", "make(chan os.Signal, 1)", 1)
	if string(content) != want {
		t.Errorf("mended to\n%s", content)
	}
	run(t, dir, "", gracevet, "./...")
}

// run wants the finding in what the command says, and that it fails if there is one.
func run(t *testing.T, dir, finding, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if (err != nil) != (finding != "") || !strings.Contains(string(out), finding) {
		t.Fatalf("%s %v: got the error %v and\n%s", name, args, err, out)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
