package drain

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const findsMarked = true

// marked returns the processes that have the mark in their environment: an instance and its
// descendants, also those that have left its group.
func marked(mark string) (pids []int) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	want := []byte(markVariable + "=" + mark)
	for _, name := range environs {
		environ, err := os.ReadFile(name)
		if err != nil || !slices.ContainsFunc(bytes.Split(environ, []byte{0}),
			func(variable []byte) bool { return bytes.Equal(variable, want) }) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// processName is for people.
func processName(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return fmt.Sprintf("%s (process %d)", strings.TrimSpace(string(name)), pid)
}

// listening returns the TCP addresses at which the marked processes listen.
func listening(mark string) (addrs []string) {
	for _, pid := range marked(mark) {
		inodes := map[string]bool{}
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, fd := range fds {
			if target, err := os.Readlink(fd); err == nil {
				if inode, ok := strings.CutPrefix(target, "socket:["); ok {
					inodes[strings.TrimSuffix(inode, "]")] = true
				}
			}
		}
		for _, table := range []string{"tcp", "tcp6"} {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
			for line := range strings.Lines(string(text)) {
				const local, state, inode = 1, 3, 9
				f := strings.Fields(line)
				if len(f) > inode && f[state] == "0A" && inodes[f[inode]] {
					addrs = append(addrs, parseAddress(f[local]))
				}
			}
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// parseAddress reads an address as /proc/net/tcp has it: each four bytes are one number in the
// order of the machine, which is taken for little endian, and then the port.
func parseAddress(s string) string {
	host, port, _ := strings.Cut(s, ":")
	ip, err := hex.DecodeString(host)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil {
		return s
	}
	for i := 0; i+4 <= len(ip); i += 4 {
		slices.Reverse(ip[i : i+4])
	}
	return net.JoinHostPort(net.IP(ip).String(), strconv.FormatUint(number, 10))
}
