package main

import (
	"context"
	"os"
	"os/signal"
)

var ctx, _ = signal.NotifyContext(context.Background()) // want "the stop function is lost"

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt) // want "the stop function is lost"
	<-ctx.Done()
}

// To defer stop here would end the context that is returned.
func lost() context.Context {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt) // want "the stop function is lost"
	return ctx
}
