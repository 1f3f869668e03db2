package grpcdrain

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c" //lint:ignore SA1019 services that exist use it
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gracekit/gracekit/shutdown"
)

// gRPC calls that come over the port of an HTTP server (ServeHTTP) are answered, although the gRPC
// server was added, too: GracefulStop alone would cut them.
func TestCallsOverServeHTTPAreDrained(t *testing.T) {
	s := &service{begun: make(chan struct{}, 1), goOn: make(chan struct{})}
	srv := grpc.NewServer()
	srv.RegisterService(&description, s)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)

	gs := shutdown.New(shutdown.Linger(0))
	require.NoError(t, gs.AddGRPCServer("grpc", srv))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gs.GoHTTP("http", &http.Server{Handler: srv, Protocols: protocols}, l))
	require.NoError(t, gs.Start(t.Context()))

	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	answered := make(chan error, 1)
	go func() {
		answered <- conn.Invoke(context.Background(), "/gracekit.test.Slow/Unary", wrapperspb.String(""), new(wrapperspb.StringValue))
	}()
	<-s.begun
	gs.Shutdown(nil)
	select {
	case err := <-answered:
		t.Fatalf("the call was cut: %v", err)
	case <-gs.Done():
		t.Fatalf("the stop has not waited: %v", gs.Report())
	case <-time.After(300 * time.Millisecond): // it is in the drain by now
	}
	close(s.goOn)
	assert.NoError(t, <-answered)
	assert.NoError(t, gs.Wait(), "%s", gs.Report())
}

// A request in flight behind h2c.NewHandler is answered: the connection was hijacked, so net/http does
// not wait for it.
func TestRequestsBehindH2CNewHandlerAreDrained(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-goOn
		}
		fmt.Fprint(w, r.Proto)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gs := shutdown.New(shutdown.Linger(10 * time.Second))
	//lint:ignore SA1019 services that exist use it
	handler := h2c.NewHandler(gs.DrainHandler(slow), &http2.Server{})
	require.NoError(t, gs.GoHTTP("http", &http.Server{Handler: handler}, l))
	require.NoError(t, gs.Start(t.Context()))

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	get := func(path string) (string, error) {
		resp, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String() + path)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	body, err := get("/")
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", body)
	answered := make(chan error, 1)
	go func() { _, err := get("/slow"); answered <- err }()
	<-begun
	gs.Shutdown(nil)
	select {
	case <-gs.Done():
		t.Fatalf("the stop has not waited: %v", gs.Report())
	case <-time.After(300 * time.Millisecond):
	}
	close(goOn)
	assert.NoError(t, <-answered)
	assert.NoError(t, gs.Wait(), "%s", gs.Report())
	assert.Less(t, gs.Report().Total, 5*time.Second, "Linger ends when the connection has no request any more")
}
