package signalbuffer

import "os/signal"

func init() {
	signal.Notify(global) // want "the channel is unbuffered"
}
