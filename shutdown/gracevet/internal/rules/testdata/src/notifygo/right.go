package notifygo

import (
	"os"
	"os/signal"
	"syscall"
)

func before(stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	go func() {
		<-c
		stop()
	}()
}

// These do not end a process that does not handle them.
func harmless(dump func()) {
	go func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR1, syscall.SIGWINCH)
		for range c {
			dump()
		}
	}()
}

// The function literal is not what the goroutine runs.
func given(later func(func())) {
	go later(func() {
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	})
}

// Serve is started as a goroutine by a test alone.
func Serve(stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c
	stop()
}

// Whoever starts the goroutine handles the signal, too.
func both(stop func()) {
	go func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt)
		<-c
		stop()
	}()
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c
}

// The signal does by itself what the goroutine does.
func exits() {
	go func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt)
		<-c
		os.Exit(1)
	}()
}
