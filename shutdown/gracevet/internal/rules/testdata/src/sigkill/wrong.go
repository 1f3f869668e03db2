package sigkill

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func wrong(ctx context.Context, c chan os.Signal) {
	signal.Notify(c, os.Interrupt, os.Kill)                               // want "this signal cannot be handled"
	signal.Notify(c, syscall.SIGKILL, syscall.SIGTERM)                    // want "this signal cannot be handled"
	signal.Notify(c, syscall.SIGTERM, syscall.SIGSTOP)                    // want "this signal cannot be handled"
	signal.NotifyContext(ctx, os.Kill)                                    // want "this signal cannot be handled"
	signal.Ignore(syscall.SIGSTOP, os.Interrupt)                          // want "this signal cannot be handled"
	signal.Notify(c, syscall.SIGKILL, syscall.SIGTERM, (syscall.SIGSTOP)) // want "cannot be handled" "cannot be handled"
}
