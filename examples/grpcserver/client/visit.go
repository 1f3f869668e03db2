package client

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gracekit/gracekit/examples/grpcserver/demo"
	"github.com/gracekit/gracekit/examples/grpcserver/interceptor"
)

// visitOnce makes one call and prints which way it went.
func visitOnce(ctx context.Context, client demo.DemoClient, work time.Duration, w io.Writer) error {
	var header, trailer metadata.MD
	resp, err := client.Visit(ctx, &demo.VisitRequest{WorkMillis: int32(work.Milliseconds())}, grpc.Header(&header), grpc.Trailer(&trailer))
	if id := interceptor.ResponseID(header, trailer); id != "" { // a server that is not there has sent none
		fmt.Fprintf(w, "request ID of the answer: %s\n", id)
	}
	if err != nil {
		return err
	}
	for n, hop := range resp.GetHops() {
		fmt.Fprintf(w, "hop %d: server %s, request ID %s\n", n+1, hop.GetServer(), hop.GetRequestId())
	}
	return nil
}

// Visits is what has become of many calls.
type Visits struct {
	Calls   int
	Failed  []error
	Servers map[string]int // answers by the name of the server
}

// VisitMany makes calls, some of them at the same time, until there are so many or ctx ends. One
// that has failed is not made again.
func VisitMany(ctx context.Context, client demo.DemoClient, calls, parallel int, work time.Duration) Visits {
	result := Visits{Servers: make(map[string]int)}
	var mu sync.Mutex // guards result
	begin := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if result.Calls == calls || ctx.Err() != nil {
			return false
		}
		result.Calls++
		return true
	}
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for begin() {
				// What has begun is finished: a call that we cancel is no failure of a server.
				resp, err := client.Visit(context.WithoutCancel(ctx), &demo.VisitRequest{WorkMillis: int32(work.Milliseconds())})
				mu.Lock()
				if err != nil {
					result.Failed = append(result.Failed, err)
				} else if len(resp.GetHops()) > 0 {
					result.Servers[resp.GetHops()[0].GetServer()]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return result
}

func (v Visits) String() string {
	var servers []string
	for _, name := range slices.Sorted(maps.Keys(v.Servers)) {
		servers = append(servers, fmt.Sprintf("%d by %s", v.Servers[name], name))
	}
	return fmt.Sprintf("%d calls, %d failed; answered: %s", v.Calls, len(v.Failed), strings.Join(servers, ", "))
}
