package main

import (
	"context"
	"os"
	"os/signal"
)

func kept() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-ctx.Done()
}
