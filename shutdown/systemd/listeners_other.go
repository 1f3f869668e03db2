//go:build !unix

package systemd

import (
	"errors"
	"runtime"
)

func inspect(int) (stream bool, err error) {
	return false, errors.New("sockets cannot be passed on " + runtime.GOOS)
}

func takeSocket(int, string, bool) (Socket, error) { panic("unreachable: inspect fails") }
