// Package componentjson moves from component-base's json to package jsonx.
package componentjson

import (
	"io"

	"github.com/gracekit/gracekit/examples/migration/componentjson/json"
)

func before(r io.Reader) (name string, err error) {
	var body struct {
		Name string `json:"name"`
	}
	err = json.NewDecoder(r).Decode(&body)
	return body.Name, err
}
