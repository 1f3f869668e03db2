//go:build !unix

package systemd

import (
	"fmt"
	"runtime"
)

func inspect(int) (stream bool, err error) {
	return false, fmt.Errorf("%w: sockets cannot be passed on %s", errNotOpen, runtime.GOOS)
}

func takeSocket(int, string, bool) (Socket, error) { panic("unreachable: inspect fails") }
