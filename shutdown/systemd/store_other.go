//go:build !unix

package systemd

import (
	"errors"
	"net"
)

func write(*net.UnixConn, string, []int, func()) error { return errors.ErrUnsupported }
