//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Settings are what can be changed while the service runs. A request reads them once, at its
// beginning, so that it never sees a part of the old ones and a part of the new ones.
type settings struct {
	Greeting string `json:"greeting"`
}

// readSettings returns the defaults if path is empty. All of a file is good, or none of it counts.
func readSettings(path string) (*settings, error) {
	s := &settings{Greeting: "Hello"}
	if path == "" {
		return s, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(s); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return nil, fmt.Errorf("%s: %w; want something like {\"greeting\": \"Hello\"}", path, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: something follows the JSON object", path)
	}
	if s.Greeting == "" || len(s.Greeting) > 200 {
		return nil, fmt.Errorf("%s: greeting is %.20q, want 1 to 200 bytes", path, s.Greeting)
	}
	return s, nil
}
