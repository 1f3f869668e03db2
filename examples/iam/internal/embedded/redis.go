// Package embedded has what the programs bring along, so that they run where nothing is installed
// but Go.
package embedded

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// Redis runs a Redis server in this process, at addr (port 0 takes a free one), until stop is
// called. It is enough to try the system and to test it; for anything more run a real one.
func Redis(addr string) (at string, stop func(), err error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(addr); err != nil {
		return "", nil, fmt.Errorf("embedded Redis: %w", err)
	}
	return server.Addr(), server.Close, nil
}
