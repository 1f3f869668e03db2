//go:build !unix

package systemd

import (
	"errors"
	"net"
)

func write(*net.UnixConn, string, []int) error { return errors.ErrUnsupported }
