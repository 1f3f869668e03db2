package authzserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/examples/iam/internal/iamtest"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/reqid"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	notify.SetLogger(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// soon is never reached unless a test fails.
const soon = 30 * time.Second

const feedToken = "the-feed-token"

// A fakeFeed is an apiserver of which only the feed is left.
type fakeFeed struct {
	feed.UnimplementedFeedServer
	addr   string
	server *grpc.Server

	mu       sync.Mutex
	secrets  kind[*feed.Secret]
	policies kind[*feed.Policy]
	token    string
	chunk    int                               // rows
	answer   func(kind string, version uint64) // if not nil, called when the rows are read and before they are sent
	raw      func(stream grpc.ServerStreamingServer[feed.PolicyChunk]) error
	ids      []string // of the requests
}

type kind[R any] struct {
	version uint64
	rows    []R
	calls   int
	known   int // calls of those who had this version
}

func (k *kind[R]) set(rows ...R) uint64 {
	k.rows = rows
	k.version++
	return k.version
}

func startFeed(t *testing.T) *fakeFeed {
	f := &fakeFeed{token: feedToken, chunk: 100}
	f.secrets.version, f.policies.version = 1, 1
	f.start(t, "127.0.0.1:0")
	return f
}

// start serves at addr: host:port, or unix: and a path.
func (f *fakeFeed) start(t testing.TB, addr string) {
	network, path, unix := "tcp", addr, false
	if path, unix = strings.CutPrefix(addr, "unix:"); unix {
		network = "unix"
	}
	listener, err := net.Listen(network, path)
	require.NoError(t, err)
	f.addr = addr
	if !unix {
		f.addr = listener.Addr().String()
	}
	f.server = grpc.NewServer()
	feed.RegisterFeedServer(f.server, f)
	go func() { _ = f.server.Serve(listener) }() // ends with Stop
	t.Cleanup(f.server.Stop)
}

func (f *fakeFeed) locked(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeFeed) setSecrets(rows ...*feed.Secret) (version uint64) {
	f.locked(func() { version = f.secrets.set(rows...) })
	return version
}

func (f *fakeFeed) setPolicies(rows ...*feed.Policy) (version uint64) {
	f.locked(func() { version = f.policies.set(rows...) })
	return version
}

func (f *fakeFeed) calls() (secrets, policies int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.secrets.calls, f.policies.calls
}

func (f *fakeFeed) Secrets(r *feed.SnapshotRequest, stream grpc.ServerStreamingServer[feed.SecretChunk]) error {
	return snapshot(f, stream.Context(), "secrets", &f.secrets, r.GetKnownVersion(), func(version uint64, rows []*feed.Secret) error {
		return stream.Send(&feed.SecretChunk{Version: version, Secrets: rows})
	})
}

func (f *fakeFeed) Policies(r *feed.SnapshotRequest, stream grpc.ServerStreamingServer[feed.PolicyChunk]) error {
	f.mu.Lock()
	raw := f.raw
	f.mu.Unlock()
	if raw != nil {
		return raw(stream)
	}
	return snapshot(f, stream.Context(), "policies", &f.policies, r.GetKnownVersion(), func(version uint64, rows []*feed.Policy) error {
		return stream.Send(&feed.PolicyChunk{Version: version, Policies: rows})
	})
}

func snapshot[R any](f *fakeFeed, ctx context.Context, name string, k *kind[R], known uint64, send func(uint64, []R) error) error {
	md, _ := metadata.FromIncomingContext(ctx)
	f.mu.Lock()
	k.calls++
	f.ids = append(f.ids, md.Get("x-request-id")...)
	authorized := fmt.Sprint(md.Get("authorization")) == "[Bearer "+f.token+"]"
	version, rows, size, answer := k.version, k.rows, f.chunk, f.answer
	if known == version {
		k.known++
	}
	f.mu.Unlock()
	if !authorized {
		return status.Error(codes.Unauthenticated, "wrong token")
	}
	if answer != nil {
		answer(name, version)
	}
	if known == version {
		return send(version, nil)
	}
	for first := true; first || len(rows) > 0; first = false {
		n := min(size, len(rows))
		if err := send(version, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// A server is an authzserver in this process.
type server struct {
	t      testing.TB
	url    string
	client *http.Client
	log    *iamtest.Buffer
	stop   func() error // and wait
}

// start runs a server, which is stopped at the end of the test, and does not wait until it is ready.
func start(t testing.TB, f *fakeFeed, redis string, change ...func(*authzserver.Options)) *server {
	opts := authzserver.Defaults()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	opts.Listener = listener
	opts.Feed, opts.FeedToken, opts.Redis = f.addr, feedToken, redis
	opts.Reload = time.Hour // so that nothing is found out by chance
	opts.Grace = soon
	s := &server{t: t, url: "http://" + listener.Addr().String(), client: &http.Client{Transport: new(http.Transport)}, log: new(iamtest.Buffer)}
	opts.Log = slog.New(reqid.LogHandler(slog.NewTextHandler(s.log, nil)))
	for _, c := range change {
		c(&opts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- authzserver.Run(ctx, opts) }()
	s.stop = sync.OnceValue(func() error {
		s.client.CloseIdleConnections() // the server would give them half a second
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		assert.NoError(t, s.stop())
		if t.Failed() {
			t.Log(s.log)
		}
	})
	s.eventually("the server answers", func() bool { code, _ := s.get("/livez"); return code == http.StatusOK })
	return s
}

func startReady(t testing.TB, f *fakeFeed, redis string, change ...func(*authzserver.Options)) *server {
	s := start(t, f, redis, change...)
	s.eventually("the server is ready", s.ready)
	return s
}

func (s *server) ready() bool { code, _ := s.get("/readyz"); return code == http.StatusOK }

func (s *server) eventually(what string, condition func() bool) {
	s.t.Helper()
	require.Eventually(s.t, condition, soon, 2*time.Millisecond, what)
}

func (s *server) get(path string) (status int, body string) {
	resp, err := s.client.Get(s.url + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}

// An answer is one of either shape.
type answer struct {
	Status    int
	Allowed   bool
	Reason    string
	Code      int
	Message   string
	RequestID string
}

func (s *server) post(token, contentType, body string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/v1/authz", strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	a := answer{Status: resp.StatusCode}
	require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&a))
	return a
}

// ask asks, with a good token of the secret, whether users:ann may read the resource.
func (s *server) ask(signedBy *feed.Secret, resource string) answer {
	s.t.Helper()
	return s.post("Bearer "+sign(s.t, signedBy, nil), "application/json", `{"subject":"users:ann","action":"read","resource":"`+resource+`"}`)
}

func newSecret(id, username string) *feed.Secret {
	return &feed.Secret{Id: id, Username: username, Key: []byte("0123456789abcdef-" + id)}
}

// newPolicy makes one for users:ann and reading.
func newPolicy(id, username, effect, resource string) *feed.Policy {
	return &feed.Policy{Id: id, Username: username, Document: fmt.Appendf(nil, `{"effect":%q,"subjects":["users:ann"],"actions":["read"],"resources":[%q]}`, effect, resource)}
}

func sign(t testing.TB, s *feed.Secret, change func(*jwt.Token, jwt.MapClaims)) string {
	claims := jwt.MapClaims{"aud": "iam.authz", "exp": time.Now().Add(time.Hour).Unix()}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	token.Header["kid"] = s.GetId()
	var key any = s.GetKey()
	if change != nil {
		change(token, claims)
	}
	if token.Method == jwt.SigningMethodNone {
		key = jwt.UnsafeAllowNoneSignatureType
	}
	signed, err := token.SignedString(key)
	require.NoError(t, err)
	return signed
}

// publish says that something has changed.
func publish(t *testing.T, redis *miniredis.Miniredis, event notify.Event, version uint64) {
	client := notify.NewClient(redis.Addr())
	defer client.Close()
	require.NoError(t, notify.NewPublisher(client).Publish(t.Context(), event, version))
}

// subscribers waits until so many servers listen, and returns the Redis.
func subscribers(t *testing.T, redis *miniredis.Miniredis, n int) {
	require.Eventually(t, func() bool { return redis.PubSubNumSub(notify.Channel)[notify.Channel] == n }, soon, 2*time.Millisecond, "subscribers")
}
