package preempt

import (
	"context"
	"net"
)

// Dial makes a manager connect by dial.
func Dial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return optionFunc(func(c *config) { c.dial = dial })
}

var (
	ParseSpotAction       = parseSpotAction
	ParseRebalance        = parseRebalance
	ParseLifecycleState   = parseLifecycleState
	ParsePreempted        = parsePreempted
	ParseMaintenanceEvent = parseMaintenanceEvent
	ParseEvents           = parseEvents
)
