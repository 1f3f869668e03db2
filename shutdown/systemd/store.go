package systemd

import (
	"fmt"
	"strings"
	"syscall"
)

// Store puts a duplicate of the descriptor of c into systemd's file descriptor store, under name:
// an [os.File], a listener or a connection of package net. The next process of the service gets it
// back from [Passed], after a restart and after a crash. So a service can keep its connections
// while it is replaced: it stores each one, and in the next process [net.FileConn] makes a
// connection of the file.
//
// c stays the caller's. The store holds what the kernel knows of it; what the process has read from
// a connection and not handled yet is gone with the process. Several descriptors may have the same
// name, and storing one a second time changes nothing.
//
// The unit has to say how many there may be (FileDescriptorStoreMax=; the default is 0). What is
// stored stays open when the service closes it, so that the peer of a connection does not see its
// end: take out what is not needed any more ([Unstore]). Systemd itself takes out what is closed in
// both directions. When the service is stopped for good, the store is emptied.
//
// Store does nothing and returns nil without NOTIFY_SOCKET, is safe for concurrent use, and waits
// for 5 seconds at most if the socket is full. It returns an error if name is not one to 255
// printable ASCII characters without a colon, if c is closed, or if the message could not be sent.
// Nil says that the message was queued, not that there was room in the store.
func Store(name string, c syscall.Conn) error {
	if err := checkName(name); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("systemd: storing %q: %w", name, err)
	}
	var sent error
	if err := raw.Control(func(fd uintptr) {
		sent = notify("FDSTORE=1\nFDNAME="+name+"\n", int(fd))
	}); err != nil {
		return fmt.Errorf("systemd: storing %q: %w", name, err)
	}
	return sent
}

// Unstore takes out of the file descriptor store what [Store] has put there under name. Where
// nothing is stored it does nothing. Its errors are those of Store.
func Unstore(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return notify("FDSTOREREMOVE=1\nFDNAME=" + name + "\n")
}

// checkName knows the rule of sd_pid_notify_with_fds(3). Systemd would store the descriptor all the
// same, under the name "stored".
func checkName(name string) error {
	bad := func(c rune) bool { return c < ' ' || c > '~' || c == ':' }
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("systemd: the name is %q, want 1 to 255 printable ASCII characters "+
			"without a colon", name)
	}
	return nil
}
