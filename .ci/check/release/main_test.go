package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

func TestCheckDependencies(t *testing.T) {
	for _, c := range []struct {
		name, pkg string
		deps      []string
		want      string // in the error; empty: none
	}{
		{"itself", "reqid", []string{"reqid"}, ""},
		{"its parent", "shutdown/systemd", []string{"shutdown/systemd", "shutdown"}, ""},
		{"another package", "reqid", []string{"reqid", "health"}, "it depends on " + modulePath + "/health"},
		{"the parent of another", "shutdown/systemd", []string{"shutdown/systemd", "shutdown/posixsignal"}, "shutdown/posixsignal"},
		{"what it extends", "shutdown/posixsignal", []string{"shutdown", "shutdown/posixsignal", "signals"}, ""},
		{"what its sibling extends", "shutdown/systemd", []string{"signals"}, "it depends on " + modulePath + "/signals"},
		{"internal", "reqid", []string{"internal/oneline"}, ""},
		{"internal, for tests", "reqid", []string{"internal/testproc"}, "internal/testproc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var deps []string
			for _, dep := range c.deps {
				deps = append(deps, modulePath+"/"+dep)
			}
			check(t, checkDependencies(c.pkg, modulePath+"/"+c.pkg, deps), c.want)
		})
	}
	t.Run("foreign", func(t *testing.T) {
		const iter = "github.com/json-iterator/go"
		check(t, checkDependencies("jsonx", modulePath+"/jsonx", []string{iter}), "it depends on "+iter)
		check(t, checkDependencies("jsonx jsoniter", modulePath+"/jsonx", []string{iter}), "")
	})
}

func TestCheckZip(t *testing.T) {
	m := module.Version{Path: modulePath, Version: version}
	for _, c := range []struct {
		name  string
		files []string
		size  int // of the last
		want  string
	}{
		{"complete", []string{"go.mod", "LICENSE", "a/a.go"}, 0, ""},
		{"no licence", []string{"go.mod", "a/a.go"}, 0, "no LICENSE"},
		{"examples", []string{"go.mod", "LICENSE", "examples/a.go"}, 0, "examples/a.go"},
		{"gracevet", []string{"go.mod", "LICENSE", "shutdown/gracevet/a.go"}, 0, "shutdown/gracevet/a.go"},
		{"as large as it may be", []string{"go.mod", "LICENSE", "a/a.bin"}, largest, ""},
		{"too large", []string{"go.mod", "LICENSE", "a/a.bin"}, largest + 1, "more than 3072; its biggest file is " + m.String() + "/a/a.bin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "m.zip")
			f, err := os.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			w := zip.NewWriter(f)
			for i, file := range c.files {
				entry, err := w.Create(m.String() + "/" + file)
				if err != nil {
					t.Fatal(err)
				}
				if i == len(c.files)-1 {
					if _, err := entry.Write(make([]byte, c.size)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			check(t, checkZip(name, m), c.want)
		})
	}
}

func check(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got the error %v, want %q", err, want)
	}
}
