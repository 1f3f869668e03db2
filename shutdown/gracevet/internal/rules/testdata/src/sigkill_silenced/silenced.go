package silenced

import (
	"os"
	"os/signal"
)

func silenced(c chan os.Signal) {
	signal.Notify(c, os.Kill) //gracevet:ignore sigkill the fake of the test delivers it

	//gracevet:ignore sigkill the fake of the test delivers it
	signal.Notify(c, os.Kill)
	signal.Notify(c, os.Kill) // want "this signal cannot be handled"

	signal.Notify(c, os.Kill) //gracevet:ignore signalbuffer another rule // want "this signal cannot be handled"
}
