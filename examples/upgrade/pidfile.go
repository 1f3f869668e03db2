//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// writePIDFile replaces the file as a whole: whoever reads it sees the old process or the new one.
func writePIDFile(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("-pid-file: %w", err)
	}
	defer os.Remove(f.Name()) // in vain once it has its name
	_, err = f.Write(pidLine())
	for _, step := range []func() error{
		func() error { return f.Chmod(0o644) },
		f.Close,
		func() error { return os.Rename(f.Name(), path) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return fmt.Errorf("-pid-file: %w", err)
	}
	return nil
}

// removePIDFile removes the file unless it is another process's, as it is after an upgrade.
func removePIDFile(path string) {
	if content, err := os.ReadFile(path); err == nil && bytes.Equal(content, pidLine()) {
		_ = os.Remove(path)
	}
}

func pidLine() []byte { return fmt.Appendln(nil, os.Getpid()) }
