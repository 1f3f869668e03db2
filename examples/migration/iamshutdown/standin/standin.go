// Package standin has the names of iam's pkg/shutdown and its posixsignal, which are not in every module proxy. It does nothing.
package standin

type (
	GracefulShutdown   struct{}
	ShutdownManager    interface{ GetName() string }
	ShutdownCallback   interface{ OnShutdown(manager string) error }
	ShutdownFunc       func(manager string) error
	PosixSignalManager struct{}
)

func New() *GracefulShutdown { return &GracefulShutdown{} }

func (*GracefulShutdown) AddShutdownManager(ShutdownManager)   {}
func (*GracefulShutdown) AddShutdownCallback(ShutdownCallback) {}
func (*GracefulShutdown) Start() error                         { return nil }

func (f ShutdownFunc) OnShutdown(manager string) error { return f(manager) }

func NewPosixSignalManager() *PosixSignalManager { return &PosixSignalManager{} }

func (*PosixSignalManager) GetName() string { return "PosixSignalManager" }
