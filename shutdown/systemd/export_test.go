package systemd

// The parsers, for the fuzz targets: through the environment they would close descriptors of the
// test itself.
var (
	NotifyAddress   = notifyAddress
	WatchdogTimeout = watchdogTimeout
)

func ParsePassed(listenPID, fds, names string, self int) (count int, name func(int) string, err error) {
	p, err := parsePassed(listenPID, fds, names, self)
	return p.count, p.name, err
}

// TakeSocket takes one descriptor as Listeners does, whatever its number.
func TakeSocket(fd int, name string) (Socket, error) {
	sockets, others, err := passedSockets{count: 1, names: []string{name}}.take(fd)
	switch {
	case err != nil:
		return Socket{}, err
	case len(others) > 0:
		return Socket{}, others[0].why
	}
	return sockets[0], nil
}
