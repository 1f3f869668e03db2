package admin

import (
	"net/http"
	"runtime/debug"

	"github.com/gracekit/gracekit/jsonx"
)

// A version tells what runs here.
type version struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the version control system
	Time     string `json:"time,omitempty"`     // of that revision
	Modified bool   `json:"modified"`           // whether there were changes on top of it
	Go       string `json:"go"`
	JSON     string `json:"json"` // what this service and gin encode with
}

// readVersion returns what the go command has written into the binary. "go run" writes less than
// "go build".
func readVersion() version {
	v := version{JSON: jsonx.Engine}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Module, v.Version, v.Go = info.Main.Path, info.Main.Version, info.GoVersion
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.time":
			v.Time = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}

// Version tells it as JSON.
func Version() http.Handler {
	body, err := jsonx.Marshal(readVersion())
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			http.Error(w, "no version", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(body)
	})
}
