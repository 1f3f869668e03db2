// Package flagfile reads what has no place on a command line, since the list of processes shows that to everyone.
package flagfile

import (
	"fmt"
	"os"
	"strings"
)

// Read replaces value by what the file of the flag has, without the space around it, if the flag was given. An empty file is an error.
func Read(flagName, path string, value *string) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("-%s: %w", flagName, err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return fmt.Errorf("-%s: %s is empty", flagName, path)
	}
	*value = text
	return nil
}
