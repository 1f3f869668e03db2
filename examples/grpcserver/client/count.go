package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gracekit/gracekit/examples/grpcserver/demo"
)

// A Counter gets numbers from a stream, and goes on elsewhere when a server stops or is lost.
type Counter struct {
	Client  demo.DemoClient
	UpTo    int64 // the last number; 0 is no end
	Pause   time.Duration
	Each    func(*demo.CountResponse)  // called for each number
	Resumed func(after int64, _ error) // called when a stream has ended too early, with its status
}

// Run returns nil when it has had each number, once and in order.
func (c Counter) Run(ctx context.Context) error {
	var last int64 // the position: all that has to be kept to go on
	return resume(ctx, func(ctx context.Context) (progress bool, _ error) {
		before := last
		err := c.attempt(ctx, &last)
		return last > before, err
	}, func(err error) { c.Resumed(last, err) })
}

func (c Counter) attempt(ctx context.Context, last *int64) error {
	ctx, cancel := context.WithCancel(ctx) // a stream that is not read to its end has to be cancelled
	defer cancel()
	stream, err := c.Client.Count(ctx, &demo.CountRequest{After: *last, UpTo: c.UpTo, PauseMillis: int32(c.Pause.Milliseconds())})
	if err != nil {
		return err
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) && *last == c.UpTo {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the stream has ended with %d, want %d", *last, c.UpTo)
		}
		if err != nil {
			return err
		}
		if resp.GetNumber() != *last+1 {
			return fmt.Errorf("%d came after %d: a number was lost, or came twice", resp.GetNumber(), *last)
		}
		*last = resp.GetNumber()
		c.Each(resp)
	}
}
