// Package standin has the names of iam's pkg/shutdown and its posixsignal, which are not in every
// module proxy, and does what they do: it begins to listen for signals some time after Start, reads
// one, runs all callbacks at once, waits for all, and ends the process with 0.
package standin

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

type (
	ShutdownManager interface {
		GetName() string
		Start(gs *GracefulShutdown) error
		ShutdownFinish() error
	}
	ShutdownCallback interface{ OnShutdown(manager string) error }
	ShutdownFunc     func(manager string) error
	ErrorHandler     interface{ OnError(err error) }
)

func (f ShutdownFunc) OnShutdown(manager string) error { return f(manager) }

type GracefulShutdown struct {
	managers     []ShutdownManager
	callbacks    []ShutdownCallback
	errorHandler ErrorHandler
}

func New() *GracefulShutdown { return &GracefulShutdown{} }

func (gs *GracefulShutdown) AddShutdownManager(m ShutdownManager) {
	gs.managers = append(gs.managers, m)
}
func (gs *GracefulShutdown) AddShutdownCallback(c ShutdownCallback) {
	gs.callbacks = append(gs.callbacks, c)
}
func (gs *GracefulShutdown) SetErrorHandler(h ErrorHandler) { gs.errorHandler = h }

func (gs *GracefulShutdown) Start() error {
	for _, m := range gs.managers {
		if err := m.Start(gs); err != nil {
			return err
		}
	}
	return nil
}

func (gs *GracefulShutdown) StartShutdown(m ShutdownManager) {
	var wg sync.WaitGroup
	for _, c := range gs.callbacks {
		wg.Go(func() { gs.report(c.OnShutdown(m.GetName())) })
	}
	wg.Wait()
	gs.report(m.ShutdownFinish())
}

func (gs *GracefulShutdown) report(err error) {
	if err != nil && gs.errorHandler != nil {
		gs.errorHandler.OnError(err)
	}
}

type PosixSignalManager struct{}

func NewPosixSignalManager() *PosixSignalManager { return &PosixSignalManager{} }

func (*PosixSignalManager) GetName() string { return "PosixSignalManager" }

func (m *PosixSignalManager) Start(gs *GracefulShutdown) error {
	go func() {
		c := make(chan os.Signal, 1)
		//gracevet:ignore notifygo the original does it, too
		signal.Notify(c, os.Interrupt, syscall.SIGTERM)
		<-c
		gs.StartShutdown(m)
	}()
	return nil
}

func (*PosixSignalManager) ShutdownFinish() error {
	os.Exit(0)
	return nil
}
