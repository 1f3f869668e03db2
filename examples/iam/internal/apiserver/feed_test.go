package apiserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

func (s *server) feedClient() feed.FeedClient {
	s.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.feed, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	return feed.NewFeedClient(conn)
}

func withToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// since reads an answer to its end.
func (s *server) since(ctx context.Context, revision *feed.Revision) ([]*feed.Chunk, error) {
	s.t.Helper()
	stream, err := s.feedClient().Changes(ctx, &feed.ChangesRequest{Since: revision})
	require.NoError(s.t, err)
	var all []*feed.Chunk
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, chunk)
	}
}

// fetch is since in one piece, for who has the token.
func (s *server) fetch(revision *feed.Revision) (whole *feed.Chunk) {
	s.t.Helper()
	all, err := s.since(withToken(s.t.Context(), feedToken), revision)
	require.NoError(s.t, err)
	whole = &feed.Chunk{Revision: all[0].GetRevision(), Full: all[0].GetFull()}
	for _, chunk := range all {
		assert.True(s.t, proto.Equal(whole.GetRevision(), chunk.GetRevision()))
		whole.Secrets = append(whole.Secrets, chunk.GetSecrets()...)
		whole.Policies = append(whole.Policies, chunk.GetPolicies()...)
		whole.Deleted = append(whole.Deleted, chunk.GetDeleted()...)
	}
	return whole
}

func (s *server) feedSecrets() []*feed.Secret { s.t.Helper(); return s.fetch(nil).GetSecrets() }
func (s *server) revision() uint64            { s.t.Helper(); return s.fetch(nil).GetRevision().GetNumber() }

func TestFeed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db, func(o *apiserver.Options) { o.MaxPolicyLength = 1 << 20 })
		ann := s.user("ann")
		owner := ann.must(http.StatusOK, "GET", "/v1/users/ann", nil).id()

		none := s.fetch(nil)
		assert.True(t, none.GetFull())
		assert.NotZero(t, none.GetRevision().GetNumber())
		assert.Empty(t, none.GetPolicies())

		secret := ann.must(http.StatusCreated, "POST", "/v1/secrets", object{"metadata": object{"name": "ci"}, "expires": 1900000000})
		change := s.fetch(none.GetRevision())
		assert.False(t, change.GetFull())
		require.Len(t, change.GetSecrets(), 1)
		assert.Equal(t, secret.id(), change.GetSecrets()[0].GetId())
		assert.Equal(t, secret.body["key"], string(change.GetSecrets()[0].GetKey()))
		assert.Equal(t, owner, change.GetSecrets()[0].GetOwnerId())
		assert.EqualValues(t, 1900000000, change.GetSecrets()[0].GetExpires())

		// More than fits into one chunk.
		const policies = 24
		for i := range policies {
			policy := newPolicy(fmt.Sprint("p", i), "allow")
			resources := make([]string, 120)
			for r := range resources {
				resources[r] = strings.Repeat("x", 200)
			}
			policy["policy"].(object)["resources"] = resources
			ann.must(http.StatusCreated, "POST", "/v1/policies", policy)
		}
		chunks, err := s.since(withToken(t.Context(), feedToken), change.GetRevision())
		require.NoError(t, err)
		assert.Greater(t, len(chunks), 1)
		all := s.fetch(change.GetRevision())
		assert.Equal(t, change.GetRevision().GetNumber()+policies, all.GetRevision().GetNumber())
		assert.Empty(t, all.GetSecrets(), "of which none has changed")
		ids := make(map[string]bool)
		for _, policy := range all.GetPolicies() {
			ids[policy.GetId()] = true
			assert.Equal(t, owner, policy.GetOwnerId())
			assert.Contains(t, string(policy.GetDocument()), `"effect":"allow"`)
		}
		assert.Len(t, ids, policies)

		// What is known is not sent again.
		unchanged := s.fetch(all.GetRevision())
		assert.True(t, proto.Equal(all.GetRevision(), unchanged.GetRevision()))
		assert.Empty(t, unchanged.GetPolicies())

		// A change is sent as what it is, and not as everything.
		ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("last", "allow"))
		last := s.fetch(all.GetRevision())
		assert.LessOrEqual(t, proto.Size(last), 2000)

		// Of what is gone the ID is sent, and nothing twice.
		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users/ann", nil)
		gone := s.fetch(last.GetRevision())
		assert.Len(t, gone.GetDeleted(), policies+2)
		assert.Contains(t, gone.GetDeleted(), secret.id())
		assert.Equal(t, last.GetRevision().GetNumber()+1, gone.GetRevision().GetNumber())

		// Whoever holds a state that never was gets everything.
		stranger := &feed.Revision{Number: last.GetRevision().GetNumber(), Stamp: last.GetRevision().GetStamp() + 1}
		assert.True(t, s.fetch(stranger).GetFull())
	})
}

func TestFeedRefusesStrangers(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.user("ann").must(http.StatusCreated, "POST", "/v1/secrets", newSecret("ci"))
	for name, ctx := range map[string]context.Context{
		"no token":       t.Context(),
		"a wrong token":  withToken(t.Context(), "another token of the feed"),
		"a part of it":   withToken(t.Context(), feedToken[:10]),
		"another scheme": metadata.AppendToOutgoingContext(t.Context(), "authorization", "Basic "+feedToken),
		"two tokens":     withToken(withToken(t.Context(), feedToken), feedToken),
		"a login":        withToken(t.Context(), s.admin.token),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.since(ctx, nil)
			assert.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
			assert.Empty(t, got)
		})
	}
}

func TestFeedLogsTheRequestID(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	ctx := metadata.AppendToOutgoingContext(withToken(t.Context(), feedToken), "x-request-id", "from-the-authzserver")
	_, err := s.since(ctx, nil)
	require.NoError(t, err)
	eventually(t, func() bool {
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, "msg=feed") && strings.Contains(line, "requestID=from-the-authzserver") {
				return true
			}
		}
		return false
	}, "a record of the call")
}

// Each change is published, with the version that is in the database by then; what failed is not.
func TestChangesArePublished(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		redis, err := notify.NewClient(s.redis.Addr())
		require.NoError(t, err)
		defer redis.Close()
		subscription := redis.Subscribe(t.Context(), notify.Channel)
		defer subscription.Close()
		_, err = subscription.Receive(t.Context()) // the subscription itself
		require.NoError(t, err)
		next := func() notify.Message {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			received, err := subscription.ReceiveMessage(ctx)
			require.NoError(t, err)
			message, err := notify.Parse(received.Payload)
			require.NoError(t, err)
			assert.Regexp(t, `^[0-9a-f]{32}$`, message.RequestID)
			message.RequestID = ""
			return message
		}

		first := s.revision()
		ann, bob := s.user("ann"), s.user("bob")
		created := ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("read", "allow"))
		path := "/v1/policies/" + created.id()
		assert.Equal(t, notify.Message{Event: notify.PolicyChanged, Version: first + 1}, next(), "users are none of the authzservers' business")

		// None of these changes anything.
		ann.must(http.StatusConflict, "POST", "/v1/policies", newPolicy("read", "allow"))
		ann.must(http.StatusBadRequest, "PUT", path, newPolicy("", "maybe"))
		bob.must(http.StatusNotFound, "PUT", path, newPolicy("", "deny"))
		bob.must(http.StatusNotFound, "DELETE", path, nil)
		bob.must(http.StatusNoContent, "DELETE", "/v1/policies?all=true", nil)
		ann.must(http.StatusNoContent, "DELETE", "/v1/secrets?all=true", nil)
		ann.must(http.StatusOK, "GET", path, nil)

		ann.must(http.StatusOK, "PUT", path, newPolicy("", "deny"))
		assert.Equal(t, notify.Message{Event: notify.PolicyChanged, Version: first + 2}, next())
		secret := ann.must(http.StatusCreated, "POST", "/v1/secrets", newSecret("ci"))
		assert.Equal(t, notify.Message{Event: notify.SecretChanged, Version: first + 3}, next())
		ann.must(http.StatusOK, "PUT", "/v1/secrets/"+secret.id(), object{"description": "x"})
		assert.Equal(t, notify.Message{Event: notify.SecretChanged, Version: first + 4}, next())
		ann.must(http.StatusNoContent, "DELETE", path, nil)
		assert.Equal(t, notify.Message{Event: notify.PolicyChanged, Version: first + 5}, next())
		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users/ann", nil)
		assert.Equal(t, notify.Message{Event: notify.UserChanged, Version: first + 6}, next())
	})
}

// Whoever fetches on a message finds the change: it is sent after the commit, not before.
func TestPublishedAfterTheCommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann := s.user("ann")
		redis, err := notify.NewClient(s.redis.Addr())
		require.NoError(t, err)
		defer redis.Close()
		subscription := redis.Subscribe(t.Context(), notify.Channel)
		defer subscription.Close()
		_, err = subscription.Receive(t.Context())
		require.NoError(t, err)
		const changes = 30
		var changing sync.WaitGroup
		defer changing.Wait() // the last message may be here before the last answer
		changing.Go(func() {
			for i := range changes {
				ann.do("POST", "/v1/policies", newPolicy(fmt.Sprint("p", i), "allow"))
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only reached if a message is lost
		defer cancel()
		for i := range changes {
			received, err := subscription.ReceiveMessage(ctx)
			require.NoError(t, err, "after %d of %d messages", i, changes)
			message, err := notify.Parse(received.Payload)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, s.revision(), message.Version)
		}
	})
}

// Without Redis, and with one that accepts connections and says nothing, changes are made all the
// same.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	ann := s.user("ann")
	before := s.revision()
	s.redis.Close()
	ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("read", "allow"))
	assert.Equal(t, before+1, s.revision())
	assert.Contains(t, s.log.String(), "a change was not published")
	assert.Equal(t, http.StatusOK, s.status("/readyz"), "the API works")

	silent := listen(t)
	s = start(t, "memory", func(o *apiserver.Options) { o.Redis = silent.Addr().String() })
	ann = s.user("ann")
	ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("read", "allow"))
	assert.Contains(t, s.log.String(), "a change was not published")
}

// Several apiservers of a database agree on versions, IDs and logins.
func TestTwoApiservers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		if db == "memory" {
			t.Skip("every server has a database of its own")
		}
		one := start(t, db)
		two := start(t, db, func(o *apiserver.Options) { o.Redis = one.redis.Addr() })
		ann := one.user("ann")
		elsewhere := client{two, ann.token}
		created := ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("read", "allow"))
		elsewhere.must(http.StatusOK, "GET", "/v1/policies/"+created.id(), nil)
		before := one.revision()
		elsewhere.must(http.StatusNoContent, "DELETE", "/v1/policies/"+created.id(), nil)
		assert.Equal(t, before+1, one.revision())
		assert.Equal(t, before+1, two.revision())
		ann.must(http.StatusNotFound, "GET", "/v1/policies/"+created.id(), nil)
	})
}

// Somebody who connects to the feed and says nothing, such as a port scanner, does not hold a stop
// up until it is broken off.
func TestStopWithSilentConnection(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	silent, err := net.Dial("tcp", s.feed)
	require.NoError(t, err)
	defer silent.Close()
	_, err = silent.Read(make([]byte, 1)) // the server speaks first
	require.NoError(t, err)
	s.stop() // without an error
}

// With a certificate the feed may be anywhere, and who does not know its CA gets nothing from it.
func TestFeedWithTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	s := start(t, "memory", func(o *apiserver.Options) { o.Feed, o.TLSCert, o.TLSKey = "0.0.0.0:0", cert, key })
	_, port, err := net.SplitHostPort(s.feed)
	require.NoError(t, err)
	addr := "127.0.0.1:" + port
	ca, err := credentials.NewClientTLSFromFile(cert, "")
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		creds credentials.TransportCredentials
		want  codes.Code
	}{
		"with the CA": {ca, codes.OK},
		"another CA":  {credentials.NewTLS(new(tls.Config)), codes.Unavailable},
		"without TLS": {insecure.NewCredentials(), codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(tt.creds))
			require.NoError(t, err)
			defer conn.Close()
			stream, err := feed.NewFeedClient(conn).Changes(withToken(t.Context(), feedToken), &feed.ChangesRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			assert.Equal(t, tt.want, status.Code(err), "%v", err)
		})
	}
}

// certificate is what the README's command makes.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	cmd := exec.Command("go", "run", strings.TrimSpace(string(goroot))+"/src/crypto/tls/generate_cert.go", "-host", "127.0.0.1,localhost", "-ca", "-ecdsa-curve", "P256")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}
