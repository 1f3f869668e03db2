package notifygo

import (
	"os"
	"os/signal"
	"syscall"
)

func init() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	go func() { <-c }()
}

// Since init, this signal no longer ends the process.
func later(stop func()) {
	go func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGINT)
		<-c
		stop()
	}()
}

func others(stop func()) {
	go other(stop)
}

func other(stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGHUP) // want "before this goroutine runs"
	<-c
	stop()
}
