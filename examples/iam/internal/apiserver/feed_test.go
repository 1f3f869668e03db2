package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

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

// chunks reads a snapshot to its end.
func chunks[C any](stream grpc.ServerStreamingClient[C], err error) ([]*C, error) {
	if err != nil {
		return nil, err
	}
	var all []*C
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

func (s *server) feedSecrets() []*feed.Secret {
	s.t.Helper()
	all, err := chunks(s.feedClient().Secrets(withToken(s.t.Context(), feedToken), &feed.SnapshotRequest{}))
	require.NoError(s.t, err)
	var secrets []*feed.Secret
	for _, chunk := range all {
		secrets = append(secrets, chunk.GetSecrets()...)
	}
	return secrets
}

func (s *server) policyVersion() uint64 {
	s.t.Helper()
	all, err := chunks(s.feedClient().Policies(withToken(s.t.Context(), feedToken), &feed.SnapshotRequest{}))
	require.NoError(s.t, err)
	return all[0].GetVersion()
}

func TestFeed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann := s.user("ann")
		client, ctx := s.feedClient(), withToken(t.Context(), feedToken)

		// The first chunk comes also if there is nothing.
		none, err := chunks(client.Policies(ctx, &feed.SnapshotRequest{}))
		require.NoError(t, err)
		require.Len(t, none, 1)
		assert.NotZero(t, none[0].GetVersion())
		assert.Empty(t, none[0].GetPolicies())

		secret := ann.must(http.StatusCreated, "POST", "/v1/secrets", object{"metadata": object{"name": "ci"}, "expires": 1900000000})
		secrets := s.feedSecrets()
		require.Len(t, secrets, 1)
		assert.Equal(t, secret.id(), secrets[0].GetId())
		assert.Equal(t, secret.body["key"], string(secrets[0].GetKey()))
		assert.Equal(t, "ann", secrets[0].GetUsername())
		assert.EqualValues(t, 1900000000, secrets[0].GetExpires())

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
		all, err := chunks(client.Policies(ctx, &feed.SnapshotRequest{KnownVersion: none[0].GetVersion()}))
		require.NoError(t, err)
		assert.Greater(t, len(all), 1)
		ids := make(map[string]bool)
		for _, chunk := range all {
			assert.Equal(t, none[0].GetVersion()+policies, chunk.GetVersion())
			for _, policy := range chunk.GetPolicies() {
				ids[policy.GetId()] = true
				assert.Equal(t, "ann", policy.GetUsername())
				assert.Contains(t, string(policy.GetDocument()), `"effect":"allow"`)
			}
		}
		assert.Len(t, ids, policies)

		// What is known is not sent again.
		unchanged, err := chunks(client.Policies(ctx, &feed.SnapshotRequest{KnownVersion: all[0].GetVersion()}))
		require.NoError(t, err)
		require.Len(t, unchanged, 1)
		assert.Equal(t, all[0].GetVersion(), unchanged[0].GetVersion())
		assert.Empty(t, unchanged[0].GetPolicies())

		// A deletion grows the version, too; that of somebody else's does not.
		ann.must(http.StatusNoContent, "DELETE", "/v1/policies", nil)
		assert.Equal(t, all[0].GetVersion()+1, s.policyVersion())
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
			got, err := chunks(s.feedClient().Secrets(ctx, &feed.SnapshotRequest{}))
			assert.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
			assert.Empty(t, got)
		})
	}
}

func TestFeedLogsTheRequestID(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	ctx := metadata.AppendToOutgoingContext(withToken(t.Context(), feedToken), "x-request-id", "from-the-authzserver")
	_, err := chunks(s.feedClient().Secrets(ctx, &feed.SnapshotRequest{}))
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
		redis := notify.NewClient(s.redis.Addr())
		defer redis.Close()
		subscription := redis.Subscribe(t.Context(), notify.Channel)
		defer subscription.Close()
		_, err := subscription.Receive(t.Context()) // the subscription itself
		require.NoError(t, err)
		next := func() notify.Message {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			received, err := subscription.ReceiveMessage(ctx)
			require.NoError(t, err)
			message, err := notify.Parse(received.Payload)
			require.NoError(t, err)
			return message
		}

		first := s.policyVersion()
		ann, bob := s.user("ann"), s.user("bob")
		created := ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("read", "allow"))
		path := "/v1/policies/" + created.id()
		assert.Equal(t, notify.Message{Event: notify.PolicyChanged, Version: first + 1}, next(), "users are none of the authzservers' business")

		// None of these changes anything.
		ann.must(http.StatusConflict, "POST", "/v1/policies", newPolicy("read", "allow"))
		ann.must(http.StatusBadRequest, "PUT", path, newPolicy("", "maybe"))
		bob.must(http.StatusNotFound, "PUT", path, newPolicy("", "deny"))
		bob.must(http.StatusNotFound, "DELETE", path, nil)
		bob.must(http.StatusNoContent, "DELETE", "/v1/policies", nil)
		ann.must(http.StatusNoContent, "DELETE", "/v1/secrets", nil)
		ann.must(http.StatusOK, "GET", path, nil)

		ann.must(http.StatusOK, "PUT", path, newPolicy("", "deny"))
		assert.Equal(t, notify.Message{Event: notify.PolicyChanged, Version: first + 2}, next())
		secret := ann.must(http.StatusCreated, "POST", "/v1/secrets", newSecret("ci"))
		message := next()
		assert.Equal(t, notify.SecretChanged, message.Event)
		ann.must(http.StatusOK, "PUT", "/v1/secrets/"+secret.id(), object{"description": "x"})
		assert.Equal(t, notify.Message{Event: notify.SecretChanged, Version: message.Version + 1}, next())
		ann.must(http.StatusNoContent, "DELETE", path, nil)
		assert.Equal(t, notify.Message{Event: notify.PolicyChanged, Version: first + 3}, next())
		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users/ann", nil)
		assert.Equal(t, notify.Message{Event: notify.SecretChanged, Version: message.Version + 2}, next())
		assert.Equal(t, notify.Message{Event: notify.PolicyChanged, Version: first + 4}, next())
	})
}

// Whoever fetches on a message finds the change: it is sent after the commit, not before.
func TestPublishedAfterTheCommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann := s.user("ann")
		redis := notify.NewClient(s.redis.Addr())
		defer redis.Close()
		subscription := redis.Subscribe(t.Context(), notify.Channel)
		defer subscription.Close()
		_, err := subscription.Receive(t.Context())
		require.NoError(t, err)
		const changes = 30
		var changing sync.WaitGroup
		defer changing.Wait() // the last message may be here before the last answer
		changing.Go(func() {
			for i := range changes {
				ann.do("POST", "/v1/policies", newPolicy(fmt.Sprint("p", i), "allow"))
			}
		})
		client, ctx := s.feedClient(), withToken(t.Context(), feedToken)
		for range changes {
			received, err := subscription.ReceiveMessage(t.Context())
			require.NoError(t, err)
			message, err := notify.Parse(received.Payload)
			require.NoError(t, err)
			got, err := chunks(client.Policies(ctx, &feed.SnapshotRequest{}))
			require.NoError(t, err)
			assert.GreaterOrEqual(t, got[0].GetVersion(), message.Version)
		}
	})
}

// Without Redis, and with one that accepts connections and says nothing, changes are made all the same.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	ann := s.user("ann")
	before := s.policyVersion()
	s.redis.Close()
	ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("read", "allow"))
	assert.Equal(t, before+1, s.policyVersion())
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
		before := one.policyVersion()
		elsewhere.must(http.StatusNoContent, "DELETE", "/v1/policies/"+created.id(), nil)
		assert.Equal(t, before+1, one.policyVersion())
		assert.Equal(t, before+1, two.policyVersion())
		ann.must(http.StatusNotFound, "GET", "/v1/policies/"+created.id(), nil)
	})
}

// Somebody who connects to the feed and says nothing, such as a port scanner, does not hold a stop up until it is broken off.
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
