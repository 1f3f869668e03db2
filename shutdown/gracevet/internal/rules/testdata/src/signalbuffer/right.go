package signalbuffer

import (
	"os"
	"os/signal"
)

func one() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
}

func unknown(c chan os.Signal, n int) {
	signal.Notify(c, os.Interrupt)
	c = make(chan os.Signal, n)
	signal.Notify(c, os.Interrupt)
}

// Which of the two it is cannot be told.
func either(large bool) {
	c := make(chan os.Signal)
	if large {
		c = make(chan os.Signal, 10)
	}
	signal.Notify(c, os.Interrupt)
}
