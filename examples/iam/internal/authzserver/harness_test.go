package authzserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
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
	"google.golang.org/protobuf/proto"

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

const feedToken = "the token of the feed"

// A fakeFeed is an apiserver of which only the feed is left.
type fakeFeed struct {
	feed.UnimplementedFeedServer
	addr   string
	server *grpc.Server
	token  string
	chunk  int // rows

	mu       sync.Mutex
	revision *feed.Revision
	secrets  []*feed.Secret
	policies []*feed.Policy
	history  []increment // since everything was set
	calls    int
	known    int                                      // calls of those who had this revision
	full     int                                      // calls that got everything
	answer   func(ctx context.Context, number uint64) // if not nil, called when the rows are read and before they are sent
	raw      func(stream grpc.ServerStreamingServer[feed.Chunk]) error
	ids      []string // of the requests
}

// An increment leads from a revision to the next one.
type increment struct {
	from  *feed.Revision
	chunk *feed.Chunk
}

func newFeed() *fakeFeed {
	return &fakeFeed{token: feedToken, chunk: 100, revision: &feed.Revision{Number: 1, Stamp: 1}}
}

func startFeed(t *testing.T) *fakeFeed {
	f := newFeed()
	f.start(t, "127.0.0.1:0")
	return f
}

// start serves at addr: host:port, or unix: and a path.
func (f *fakeFeed) start(t testing.TB, addr string) {
	network := "tcp"
	path, unix := strings.CutPrefix(addr, "unix:")
	if unix {
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

// next counts the revision up; whoever has the one before needs everything.
func (f *fakeFeed) next() uint64 {
	f.revision = &feed.Revision{Number: f.revision.GetNumber() + 1, Stamp: rand.Uint64()}
	f.history = nil
	return f.revision.GetNumber()
}

func (f *fakeFeed) setSecrets(rows ...*feed.Secret) (number uint64) {
	f.locked(func() { f.secrets = rows; number = f.next() })
	return number
}

func (f *fakeFeed) setPolicies(rows ...*feed.Policy) (number uint64) {
	f.locked(func() { f.policies = rows; number = f.next() })
	return number
}

// change is an increment, and nothing else: who asks for everything gets something else.
func (f *fakeFeed) change(chunk *feed.Chunk) (number uint64) {
	f.locked(func() {
		history := append(f.history, increment{f.revision, chunk})
		number = f.next()
		f.history = history
	})
	return number
}

func (f *fakeFeed) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *fakeFeed) Changes(r *feed.ChangesRequest, stream grpc.ServerStreamingServer[feed.Chunk]) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	f.mu.Lock()
	f.calls++
	f.ids = append(f.ids, md.Get("x-request-id")...)
	authorized := fmt.Sprint(md.Get("authorization")) == "[Bearer "+f.token+"]"
	revision, secrets, policies, answer, raw := f.revision, f.secrets, f.policies, f.answer, f.raw
	var chunks []*feed.Chunk
	at := slices.IndexFunc(f.history, func(i increment) bool { return proto.Equal(r.GetSince(), i.from) })
	switch {
	case proto.Equal(r.GetSince(), revision):
		f.known++
		chunks = append(chunks, &feed.Chunk{})
	case at >= 0:
		for _, i := range f.history[at:] {
			chunks = append(chunks, i.chunk)
		}
	default:
		f.full++
		for first := true; first || len(secrets)+len(policies) > 0; first = false {
			n, m := min(f.chunk, len(secrets)), min(f.chunk, len(policies))
			chunks = append(chunks, &feed.Chunk{Full: true, Secrets: secrets[:n], Policies: policies[:m]})
			secrets, policies = secrets[n:], policies[m:]
		}
	}
	f.mu.Unlock()
	if !authorized {
		return status.Error(codes.Unauthenticated, "wrong token")
	}
	if raw != nil {
		return raw(stream)
	}
	if answer != nil {
		answer(stream.Context(), revision.GetNumber())
	}
	for _, c := range chunks {
		if err := stream.Send(&feed.Chunk{Revision: revision, Full: c.GetFull(), Secrets: c.GetSecrets(), Policies: c.GetPolicies(), Deleted: c.GetDeleted()}); err != nil {
			return err
		}
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

// start runs a server, which is stopped at the end of the test, and does not wait until it is
// ready.
func start(t testing.TB, f *fakeFeed, redis string, change ...func(*authzserver.Options)) *server {
	opts := authzserver.Defaults()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	opts.Listener = listener
	opts.Feeds, opts.FeedToken, opts.Redis = []string{f.addr}, feedToken, redis
	opts.Poll, opts.MaxStale = time.Hour, 0 // so that nothing is found out by chance
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

// eventuallyLogs waits for a text in the log: the effect that it tells of may be seen before it.
func (s *server) eventuallyLogs(text string) {
	s.t.Helper()
	s.eventually("in the log: "+text, func() bool { return strings.Contains(s.log.String(), text) })
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

func newSecret(id, owner string) *feed.Secret {
	return &feed.Secret{Id: id, OwnerId: owner, Key: []byte("0123456789abcdef-" + id)}
}

// newPolicy makes one for users:ann and reading.
func newPolicy(id, owner, effect, resource string) *feed.Policy {
	return &feed.Policy{Id: id, OwnerId: owner, Document: fmt.Appendf(nil, `{"effect":%q,"subjects":["users:ann"],"actions":["read"],"resources":[%q]}`, effect, resource)}
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
func publish(t *testing.T, server *miniredis.Miniredis, event notify.Event, version uint64) {
	payload, err := json.Marshal(notify.Message{Event: event, Version: version})
	require.NoError(t, err)
	server.Publish(notify.Channel, string(payload))
}

// subscribers waits until so many servers listen, and returns the Redis.
func subscribers(t *testing.T, redis *miniredis.Miniredis, n int) {
	require.Eventually(t, func() bool { return redis.PubSubNumSub(notify.Channel)[notify.Channel] == n }, soon, 2*time.Millisecond, "subscribers")
}
