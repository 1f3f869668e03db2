//go:build unix

package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

// What old and new process say to each other, over a socket pair that nobody else has, one line
// each:
//
//	new: waiting <why>   it is not healthy yet
//	new: healthy         it could serve, but does not accept: until here the old one can kill it without a loss
//	old: serve           it may
//	new: serving         it does, and the old process drains
//	new: failed <why>    it ends
const (
	waiting = "waiting"
	healthy = "healthy"
	serve   = "serve"
	serving = "serving"
	failed  = "failed"
)

// A line is all that a process has to say at a time.
const maxLine = 4096

type channel struct {
	net.Conn
	lines *bufio.Reader
}

func newChannel(conn net.Conn) *channel { return &channel{conn, bufio.NewReaderSize(conn, maxLine)} }

func (c *channel) say(word, why string) error {
	line := strings.TrimSpace(word + " " + strings.Join(strings.Fields(why), " "))
	_, err := fmt.Fprintf(c, "%.*s\n", maxLine-1, line)
	return err
}

// hear returns the next line. What ends without a line feed is none.
func (c *channel) hear() (word, why string, err error) {
	line, err := c.lines.ReadSlice('\n')
	if err != nil {
		return "", "", err
	}
	word, why, _ = strings.Cut(strings.TrimSpace(string(line)), " ")
	return word, why, nil
}
