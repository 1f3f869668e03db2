package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gracekit/gracekit/examples/grpcserver/demo"
)

// An Adder sends the numbers from 1 to Numbers to be added up, and goes on elsewhere when a server
// stops or is lost.
type Adder struct {
	Client  demo.DemoClient
	Numbers int64
	Pause   time.Duration              // between two numbers
	Resumed func(after int64, _ error) // called when a stream has ended too early, with its status
}

// Run returns the sum.
func (a Adder) Run(ctx context.Context) (int64, error) {
	state := new(demo.SumResponse) // the position: what has not been answered is sent again
	err := resume(ctx, func(ctx context.Context) (progress bool, _ error) {
		before := state.GetCount()
		err := a.attempt(ctx, state)
		return state.GetCount() > before, err
	}, func(err error) { a.Resumed(state.GetCount(), err) })
	return state.GetSum(), err
}

func (a Adder) attempt(ctx context.Context, state *demo.SumResponse) error {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := a.Client.Sum(ctx)
	if err != nil {
		cancel()
		return err
	}
	var sending sync.WaitGroup
	from := proto.CloneOf(state)
	sending.Go(func() { a.send(ctx, stream, from) })
	defer sending.Wait()
	defer cancel()

	for {
		resp, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && state.GetCount() == a.Numbers:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the stream has ended after %d numbers, want %d", state.GetCount(), a.Numbers)
		case err != nil:
			return err
		case resp.GetCount() != state.GetCount()+1:
			return fmt.Errorf("%d numbers were in the sum after %d: one was lost, or came twice", resp.GetCount(), state.GetCount())
		}
		state.Count, state.Sum = resp.GetCount(), resp.GetSum()
	}
}

// send sends what is not in the sum yet. An error here is of no interest: Recv has the status of
// the stream.
func (a Adder) send(ctx context.Context, stream demo.Demo_SumClient, from *demo.SumResponse) {
	for n := from.GetCount() + 1; n <= a.Numbers; n++ {
		req := &demo.SumRequest{Number: n}
		if n == from.GetCount()+1 && from.GetCount() > 0 {
			req.Resume = from
		}
		if stream.Send(req) != nil {
			return
		}
		select {
		case <-time.After(a.Pause):
		case <-ctx.Done():
			return
		}
	}
	_ = stream.CloseSend()
}
