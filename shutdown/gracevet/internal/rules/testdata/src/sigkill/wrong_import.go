package sigkill

import (
	"os"
	"os/signal"
	. "syscall"
	sys "syscall"
)

// The fix would leave an import that is not used.
func onlyUse(c chan os.Signal) {
	signal.Notify(c, os.Interrupt, sys.SIGKILL) // want "this signal cannot be handled"
	signal.Notify(c, SIGTERM)
}
