//go:build unix

package iamshutdown

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/gracekit/gracekit/examples/migration/internal/process"
)

func TestMain(m *testing.M) {
	process.Main(m, map[string]func(){
		"before": func() { before(newDB(), newServer(), grpc.NewServer(), listen()) },
		"after": func() {
			err := after(context.Background(), newDB(), newServer(), listen(), grpc.NewServer(), listen())
			if err != nil {
				log.Fatal(err)
			}
		},
	})
}

type connector struct{}

func (connector) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("no server") }
func (connector) Driver() driver.Driver                        { return nil }
func (connector) Close() error                                 { return errors.New("the last statements were lost") }

func newDB() *sql.DB { return sql.OpenDB(connector{}) }

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return l
}

// newServer prints its address when it listens, and when a request for /slow has come, which it
// answers when the test says so.
func newServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("in flight")
		process.AwaitGoOn()
		_, _ = io.WriteString(w, "done")
	})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	return &http.Server{
		Addr: "127.0.0.1:0", Handler: mux, ReadHeaderTimeout: time.Second,
		BaseContext: func(l net.Listener) context.Context { fmt.Println(l.Addr()); return context.Background() },
	}
}

type answer struct {
	body string
	err  error
}

func getSlow(ctx context.Context, addr string) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		body, _, err := get(ctx, "http://"+addr+"/slow")
		answers <- answer{body, err}
	}()
	return answers
}

func get(ctx context.Context, url string) (body string, closing bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", false, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), resp.Close, err
}

// The request is cut off, and what Close says of the database is lost. On a busy machine Start's
// goroutine may not have registered the signals even now, and the process is killed.
func TestBefore(t *testing.T) {
	t.Parallel()
	p := process.Start(t, "before", "")
	answers := getSlow(t.Context(), p.Line())
	require.Equal(t, "in flight", p.Line())
	p.Signal(syscall.SIGTERM)
	assert.Error(t, (<-answers).err)
	_, stderr, status := p.Wait()
	assert.Contains(t, []int{0, -1}, status)
	assert.Empty(t, stderr)
}

// During the Delay new requests are served and told to leave, the one in flight is answered, and
// the exit status says what went wrong.
func TestAfter(t *testing.T) {
	t.Parallel()
	p := process.Start(t, "after", "")
	addr := p.Line()
	answers := getSlow(t.Context(), addr)
	require.Equal(t, "in flight", p.Line())
	p.Signal(syscall.SIGTERM)
	for closing := false; !closing; { // from the trigger on
		var err error
		_, closing, err = get(t.Context(), "http://"+addr)
		require.NoError(t, err)
	}
	p.GoOn()
	assert.Equal(t, answer{body: "done"}, <-answers)
	_, stderr, status := p.Wait()
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "mysql")
	assert.Contains(t, stderr, "the last statements were lost")
}

func TestAfterSecondSignal(t *testing.T) {
	t.Parallel()
	p := process.Start(t, "after", "")
	addr := p.Line()
	_ = getSlow(t.Context(), addr)
	require.Equal(t, "in flight", p.Line())
	p.Signal(syscall.SIGTERM)
	for closing := false; !closing; {
		var err error
		_, closing, err = get(t.Context(), "http://"+addr)
		require.NoError(t, err)
	}
	p.Signal(syscall.SIGINT) // another one: the same within 5ms would count as the first
	_, stderr, status := p.Wait()
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "exiting at once")
}
