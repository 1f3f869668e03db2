package main

import (
	"bufio"
	"context"
	"log"
	"net/http"
	"os"
	"runtime/pprof"
	"testing"
	"time"

	"go.uber.org/zap"
)

type traces struct{}

func (traces) Shutdown(context.Context) error { return nil }

func main() {
	var srv http.Server
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Fatal("forced to shut down: ", err) // want "skips the deferred cancel of line 23"
	}
}

func exporter(t traces, ctx context.Context) {
	defer t.Shutdown(ctx)
	if ctx.Err() != nil {
		os.Exit(1) // want "skips the deferred t.Shutdown of line 30"
	}
}

func literal(w *bufio.Writer, dir string, logger *zap.Logger) {
	defer func() {
		println("bye")
		w.Flush()
	}()
	for {
		if dir == "" {
			log.New(w, "", 0).Fatalln("no directory") // want "skips the deferred w.Flush of line 39"
		}
		logger.Fatal("no directory") // want "skips the deferred w.Flush of line 39"
	}
}

func profile(f *os.File) {
	pprof.StartCPUProfile(f)
	defer pprof.StopCPUProfile()
	os.Exit(0) // want "skips the deferred pprof.StopCPUProfile of line 51"
}

func TestMain(m *testing.M) {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	os.Exit(m.Run()) // want "skips the deferred os.RemoveAll of line 57"
}
