package main

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

// writeProxy makes dir what a GOPROXY of the kind file:// is: see
// https://go.dev/ref/mod#goproxy-protocol. below is where the module stands in the repository.
func writeProxy(dir string, m module.Version, below string) error {
	dir = filepath.Join(dir, filepath.FromSlash(m.Path), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	gomod, err := os.ReadFile(filepath.Join(root, below, "go.mod"))
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"list":              m.Version + "\n",
		m.Version + ".info": fmt.Sprintf(`{"Version":%q,"Time":%q}`, m.Version, time.Now().UTC().Format(time.RFC3339)),
		m.Version + ".mod":  string(gomod),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	name := filepath.Join(dir, m.Version+".zip")
	if err := writeZip(name, m, below); err != nil {
		return err
	}
	return checkZip(name, m)
}

// writeZip packs the files that a commit of the working tree would have. Create leaves out what is
// no part of the module. A module without a licence of its own has that of the repository, as the
// go command sees to.
func writeZip(name string, m module.Version, below string) (err error) {
	dir := filepath.Join(root, below)
	listed, err := output(dir, os.Environ(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	var files []modzip.File
	for path := range strings.SplitSeq(strings.TrimRight(listed, "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(dir, path)); errors.Is(err, os.ErrNotExist) {
			continue // deleted and not committed yet
		}
		files = append(files, file{path, filepath.Join(dir, path)})
	}
	if !slices.ContainsFunc(files, func(f modzip.File) bool { return f.Path() == "LICENSE" }) {
		files = append(files, file{"LICENSE", filepath.Join(root, "LICENSE")})
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return modzip.Create(f, m, files)
}

// A file is named by its path below the module's directory, with slashes.
type file struct{ path, name string }

func (f file) Path() string                 { return f.path }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.name) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.name) }

// largest is what the zip file may have, in bytes: about twice what it has. What is more has come
// into it by accident.
const largest = 3 << 20

// checkZip looks for what has to be there and what must not.
func checkZip(name string, m module.Version) error {
	if checked, err := modzip.CheckZip(m, name); err != nil {
		return err
	} else if err := checked.Err(); err != nil {
		return err
	}
	r, err := zip.OpenReader(name)
	if err != nil {
		return err
	}
	defer r.Close()
	license := false
	var unpacked uint64
	for _, f := range r.File {
		path := strings.TrimPrefix(f.Name, m.String()+"/")
		license = license || path == "LICENSE"
		unpacked += f.UncompressedSize64
		if strings.HasPrefix(path, "examples/") || strings.HasPrefix(path, gracevet+"/") {
			return fmt.Errorf("the zip file has %s of another module", path)
		}
	}
	if !license {
		return errors.New("the zip file has no LICENSE")
	}
	if unpacked > largest {
		biggest := slices.MaxFunc(r.File, func(a, b *zip.File) int { return cmp.Compare(a.UncompressedSize64, b.UncompressedSize64) })
		return fmt.Errorf("the zip file has %d KiB, more than %d; its biggest file is %s", unpacked/1024, largest/1024, biggest.Name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d files, %d KiB, %d KiB packed\n", m, len(r.File), unpacked/1024, info.Size()/1024)
	return nil
}
