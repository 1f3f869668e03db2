package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gracekit/gracekit/concurrent"
)

// store stands for a service that knows how large files are, and takes its time to say so.
type store map[string]int64

func (s store) size(ctx context.Context, name string) (int64, error) {
	bytes, ok := s[name]
	if !ok {
		return 0, errors.New("no such file")
	}
	return bytes, ctx.Err()
}

// A question for each of many things, a few at the same time: the answers come in the order of the
// things, and the first
// failure ends the rest and says which one it was.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	files := store{"go.mod": 512, "main.go": 2048, "README.md": 9216}

	names := []string{"main.go", "README.md", "go.mod"}
	sizes, err := concurrent.Map(ctx, names, files.size, concurrent.Limit(8))
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, name := range names {
		fmt.Println(name, sizes[i])
	}

	names = []string{"main.go", "main.c"}
	_, err = concurrent.Map(ctx, names, files.size)
	if item, ok := errors.AsType[*concurrent.ItemError](err); ok {
		fmt.Printf("%s: %v\n", names[item.Index], item.Err)
	}
	// Output:
	// main.go 2048
	// README.md 9216
	// go.mod 512
	// main.c: no such file
}
