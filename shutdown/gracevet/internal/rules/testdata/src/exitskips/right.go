package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"time"

	"go.uber.org/zap"
)

// What the kernel does anyway, or what ends with the process.
func kernel(f *os.File, c chan os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer f.Close()
	defer time.NewTicker(time.Second).Stop()
	defer signal.Stop(c)
	log.Fatal(ctx)
}

func otherBranch(t traces, ctx context.Context) {
	if ctx != nil {
		defer t.Shutdown(ctx)
	}
	func() {
		defer t.Shutdown(ctx)
	}()
	log.Fatal("failed")
}

func byHand(t traces, ctx context.Context) {
	defer t.Shutdown(ctx)
	if err := ctx.Err(); err != nil {
		t.Shutdown(ctx)
		log.Fatal(err)
	}
}

// The drain is over.
func drained(t traces) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := t.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	if err := t.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	if ctx.Err() != nil {
		os.Exit(1)
	}
}

func later(t traces, ctx context.Context) {
	if ctx == nil {
		log.Fatal("no context")
	}
	defer t.Shutdown(ctx)
	defer func() {
		if recover() != nil {
			os.Exit(2)
		}
	}()
}

// Fatal writes what the logger has.
func itself(logger *zap.Logger) {
	defer logger.Sync()
	logger.Fatal("failed")
}

type testLogger interface {
	Helper()
	Fatalf(string, ...any)
}

// This Fatalf ends a test, and the deferred functions run.
func inTest(t testLogger, dir string) {
	defer os.RemoveAll(dir)
	t.Fatalf("no %s", dir)
}
