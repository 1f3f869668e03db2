package authzserver

import (
	"context"
	"io"
	"log/slog"
)

// A Recorder is a recorder of its own, without a server.
type Recorder struct{ *recorder }

func NewRecorder(w io.Writer) Recorder {
	return Recorder{newRecorder(w, slog.New(slog.DiscardHandler))}
}

func (r Recorder) Run()         { r.run() }
func (r Recorder) Add()         { r.add(record{}) }
func (r Recorder) Flush() error { return r.flush(context.Background()) }
func (r Recorder) Counts() (written, dropped int) {
	return int(r.written.Load()), int(r.dropped.Load())
}
