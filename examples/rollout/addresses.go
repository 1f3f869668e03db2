package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
)

// addresses are on loopback. Their ports are below those that systems give to outgoing connections,
// so nothing takes the port of a replica that is down. The same port of the other protocol is
// occupied, which keeps another run of this program from choosing it.
type addresses struct {
	all      []string
	occupied []io.Closer
}

// reserve returns addresses that nobody listens on, by UDP or by TCP.
func reserve(n int, udp bool) (*addresses, error) {
	const first, last = 15_000, 32_000
	a := new(addresses)
	for range 1000 {
		a.try(net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(last-first))), udp)
		if len(a.all) == n {
			return a, nil
		}
	}
	a.release()
	return nil, fmt.Errorf("found no %d free ports from %d to %d", n, first, last)
}

func (a *addresses) try(addr string, udp bool) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return
	}
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		l.Close()
		return
	}
	var free, occupied io.Closer = l, c
	if udp {
		free, occupied = c, l
	}
	free.Close()
	a.all = append(a.all, addr)
	a.occupied = append(a.occupied, occupied)
}

func (a *addresses) release() {
	for _, c := range a.occupied {
		c.Close()
	}
}
