package notifygo

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
)

func inside(stop func()) {
	go func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt, syscall.SIGTERM) // want "before this goroutine runs"
		<-c
		stop()
	}()
}

func outside(c chan os.Signal, stop func()) {
	go func() {
		signal.Notify(c) // want "before this goroutine runs"
		<-c
		stop()
	}()
}

// Moving it would change what c means below.
func taken(c int, stop func()) int {
	go func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt) // want "before this goroutine runs"
		<-c
		stop()
	}()
	return c
}

// What the goroutine does first may matter.
func later(stop func()) {
	go func() {
		println("ready")
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt) // want "before this goroutine runs"
		<-c
		stop()
	}()
}

type server struct{ quit chan os.Signal }

func (s *server) run() {
	go s.watch()
	go s.watch()
}

func (s *server) watch() {
	signal.Notify(s.quit, syscall.SIGHUP) // want "before this goroutine runs"
	<-s.quit
}

func groups(wg *sync.WaitGroup, g *errgroup.Group) {
	wg.Go(func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) // want "before this goroutine runs"
		defer stop()
		<-ctx.Done()
	})
	g.Go(func() error {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGQUIT) // want "before this goroutine runs"
		<-c
		return nil
	})
}

// A rule sees one package: it is reported even if elsewhere the program handles the signal already.
func known(elsewhere func(), stop func()) {
	elsewhere()
	go handle(stop)
}

func handle(stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt) // want "before this goroutine runs"
	<-c
	stop()
}
