package preempt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/shutdown/preempt"
)

// A program that runs on any of the three clouds, or on none. The managers of the others find out
// within some seconds that there is nothing to watch.
func Example() {
	gs := shutdown.New(shutdown.Logger(slog.Default()))
	err := errors.Join(
		gs.AddManager(posixsignal.New(), preempt.AWS(), preempt.GoogleCloud(), preempt.Azure()),
		gs.Go("worker", func(ctx context.Context) error {
			<-ctx.Done() // it works until it is told to stop
			return nil
		}),
	)
	if err == nil {
		err = gs.Run(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}

// What is done at the end may depend on the reason. The metadata service is one of a test, of a
// machine that Google Cloud reclaims.
func ExampleNotice() {
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		w.Header().Set("Content-Type", "application/text")
		if r.URL.Path == "/computeMetadata/v1/instance/preempted" {
			fmt.Fprint(w, "TRUE")
		} else {
			fmt.Fprint(w, "NONE")
		}
	}))
	defer metadata.Close()

	gs := shutdown.New()
	if err := gs.AddManager(preempt.GoogleCloud(preempt.Endpoint(metadata.URL))); err != nil {
		log.Fatal(err)
	}
	if err := gs.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	if n, ok := errors.AsType[*preempt.Notice](context.Cause(gs.Context())); ok {
		fmt.Println(n.Provider, n.Kind, n.Event, time.Until(n.At).Round(10*time.Second))
	}
	// Output: Google Cloud preemption preempted 30s
}

// A queue's worker that takes no new work when AWS recommends to replace its machine, and stops
// only when the machine goes.
func ExampleOnOther() {
	takeNoMore := func() {}
	_ = preempt.AWS(preempt.OnOther(func(n *preempt.Notice) {
		if n.Kind == preempt.Rebalance {
			takeNoMore()
		}
	}))
}
