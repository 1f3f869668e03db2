package componentjson

import (
	"io"

	json "github.com/gracekit/gracekit/jsonx"
)

func after(r io.Reader) (name string, err error) {
	var body struct {
		Name string `json:"name"`
	}
	err = json.NewDecoder(r).Decode(&body)
	return body.Name, err
}
