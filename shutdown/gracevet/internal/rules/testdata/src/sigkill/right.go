package sigkill

import (
	"os"
	"os/signal"
	"syscall"
)

func right(c chan os.Signal, p *os.Process, more ...os.Signal) error {
	signal.Notify(c)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	signal.Notify(c, more...)
	return p.Signal(os.Kill)
}
