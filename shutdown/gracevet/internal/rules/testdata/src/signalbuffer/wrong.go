package signalbuffer

import (
	"os"
	"os/signal"
)

func local() {
	c := make(chan os.Signal)
	signal.Notify(c, os.Interrupt) // want "the channel is unbuffered"
}

func zero() {
	c := make(chan os.Signal, 0)
	signal.Notify(c, os.Interrupt) // want "the channel is unbuffered"
}

var global = make(chan os.Signal)

type server struct{ quit, again chan os.Signal }

func newServer() *server { return &server{quit: make(chan os.Signal)} }

func (s *server) run() {
	s.again = make(chan os.Signal)
	signal.Notify(s.quit, os.Interrupt)  // want "the channel is unbuffered"
	signal.Notify(s.again, os.Interrupt) // want "the channel is unbuffered"
}
