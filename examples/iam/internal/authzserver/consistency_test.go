package authzserver_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

func TestChangesArrive(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann := newSecret("secret-ann", "ann")
	f.setSecrets(ann)
	s := startReady(t, f, redis.Addr())
	subscribers(t, redis, 1)
	for range 5 {
		publish(t, redis, notify.PolicyChanged, f.setPolicies(newPolicy("policy-1", "ann", "allow", "a")))
		s.eventually("allowed", func() bool { return s.ask(ann, "a").Allowed })
		publish(t, redis, notify.PolicyChanged, f.setPolicies())
		s.eventually("denied", func() bool { return !s.ask(ann, "a").Allowed })
	}
	publish(t, redis, notify.SecretChanged, f.setSecrets())
	s.eventually("the secret is gone", func() bool { return s.ask(ann, "a").Status == http.StatusUnauthorized })

	f.locked(func() { assert.NotEmpty(t, f.ids) })
	for _, id := range f.ids {
		assert.Regexp(t, `^[0-9a-f]{32}$`, id)
	}
	assert.Regexp(t, `msg="loaded secrets" .*requestID=`+f.ids[0]+`|msg="loaded policies" .*requestID=`+f.ids[0], s.log.String(), "one ID in both logs")
}

// An answer that was read before a change, and comes after the news of it, is not the last one.
func TestSlowAnswerIsOvertaken(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann := newSecret("secret-ann", "ann")
	f.setSecrets(ann)
	s := startReady(t, f, redis.Addr(), func(o *authzserver.Options) { o.Debounce = 0 })
	subscribers(t, redis, 1)

	slow := f.setPolicies(newPolicy("policy-1", "ann", "allow", "a"), newPolicy("policy-2", "ann", "allow", "b"))
	reading, release := make(chan struct{}), make(chan struct{})
	f.locked(func() {
		f.answer = func(kind string, version uint64) {
			if kind == "policies" && version == slow {
				close(reading)
				<-release
			}
		}
	})
	publish(t, redis, notify.PolicyChanged, slow)
	<-reading
	publish(t, redis, notify.PolicyChanged, f.setPolicies(newPolicy("policy-2", "ann", "allow", "b")))
	close(release)
	s.eventually("the second change is there", func() bool { return s.ask(ann, "b").Allowed && !s.ask(ann, "a").Allowed })
}

// What a replica says that is behind changes nothing.
func TestOlderAnswerIsIgnored(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann := newSecret("secret-ann", "ann")
	f.setSecrets(ann)
	f.locked(func() { f.policies.version = 7 })
	f.setPolicies(newPolicy("policy-1", "ann", "deny", "a"), newPolicy("policy-2", "ann", "allow", "*"))
	s := startReady(t, f, redis.Addr(), func(o *authzserver.Options) { o.Reload = 20 * time.Millisecond })
	f.locked(func() {
		f.policies = kind[*feed.Policy]{version: 3, rows: []*feed.Policy{newPolicy("policy-2", "ann", "allow", "*")}}
	})
	s.eventually("asked again", func() bool { _, calls := f.calls(); return calls >= 3 })
	assert.Equal(t, "denied by policy-1", s.ask(ann, "a").Reason)
	assert.Contains(t, s.log.String(), `msg="the apiserver's policies are older than those held, which are kept"`)
}

func TestLargeSnapshot(t *testing.T) {
	t.Parallel()
	f := startFeed(t)
	const n = 3000
	f.locked(func() {
		f.chunk = 7
		for i := range n {
			f.secrets.rows = append(f.secrets.rows, newSecret(fmt.Sprintf("secret-%d", i), fmt.Sprintf("user-%d", i)))
			f.policies.rows = append(f.policies.rows, newPolicy(fmt.Sprintf("policy-%d", i), fmt.Sprintf("user-%d", i), "allow", fmt.Sprint(i)))
		}
	})
	s := startReady(t, f, miniredis.RunT(t).Addr())
	for _, i := range []int{0, 6, 7, n / 2, n - 1} {
		assert.Equal(t, answer{Status: 200, Allowed: true, Reason: fmt.Sprintf("allowed by policy-%d", i)}, s.ask(newSecret(fmt.Sprintf("secret-%d", i), ""), fmt.Sprint(i)))
	}
}

// A half answer is no answer.
func TestBrokenAnswersAreNotTaken(t *testing.T) {
	t.Parallel()
	one := []*feed.Policy{newPolicy("policy-1", "ann", "allow", "*")}
	tests := []struct {
		name string
		raw  func(grpc.ServerStreamingServer[feed.PolicyChunk]) error
		want string
	}{
		{"empty", func(grpc.ServerStreamingServer[feed.PolicyChunk]) error { return nil }, "the apiserver's answer is empty, want one chunk at least"},
		{"of two versions", func(stream grpc.ServerStreamingServer[feed.PolicyChunk]) error {
			_ = stream.Send(&feed.PolicyChunk{Version: 9, Policies: one})
			return stream.Send(&feed.PolicyChunk{Version: 10})
		}, "the apiserver's answer has chunks of version 9 and 10"},
		{"broken off", func(stream grpc.ServerStreamingServer[feed.PolicyChunk]) error {
			_ = stream.Send(&feed.PolicyChunk{Version: 9, Policies: one})
			return fmt.Errorf("the database went away")
		}, "the database went away"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := startFeed(t)
			ann := newSecret("secret-ann", "ann")
			f.setSecrets(ann)
			f.setPolicies(one...)
			f.locked(func() { f.raw = tt.raw })
			s := start(t, f, miniredis.RunT(t).Addr())
			s.eventually("the log says so", func() bool { return strings.Contains(s.log.String(), tt.want) })
			assert.Equal(t, http.StatusServiceUnavailable, s.ask(ann, "a").Status)
			assert.False(t, s.ready())
			_, body := s.get("/readyz?verbose")
			assert.NotContains(t, body, tt.want, "bodies do not tell what failed")
			f.locked(func() { f.raw = nil })
			s.eventually("ready", s.ready)
			assert.True(t, s.ask(ann, "a").Allowed)
			assert.Contains(t, s.log.String(), "loading policies works again")
		})
	}
}

func TestApiserverComesLateAndGoes(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "iam") // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	f := &fakeFeed{addr: "unix:" + filepath.Join(dir, "feed"), token: "another", chunk: 10}
	ann := newSecret("secret-ann", "ann")
	f.setSecrets(ann)
	f.setPolicies(newPolicy("policy-1", "ann", "allow", "a"))

	ready := make(chan string, 1)
	s := start(t, f, miniredis.RunT(t).Addr(), func(o *authzserver.Options) { o.OnReady = func(addr string) { ready <- addr } })
	s.eventually("the log says so", func() bool {
		return strings.Contains(s.log.String(), `msg="cannot load secrets, trying until it works"`)
	})
	assert.False(t, s.ready())
	assert.Equal(t, 100010, s.ask(ann, "a").Code)

	f.start(t, f.addr)
	s.eventually("it is refused", func() bool { secrets, policies := f.calls(); return secrets > 0 && policies > 0 })
	assert.False(t, s.ready(), "the token is wrong")
	f.locked(func() { f.token = feedToken })
	s.eventually("ready", s.ready)
	assert.Equal(t, s.url, "http://"+<-ready)
	assert.True(t, s.ask(ann, "a").Allowed)

	f.server.Stop()
	assert.True(t, s.ask(ann, "a").Allowed, "answers from what it holds")
	assert.True(t, s.ready())
}

func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann := newSecret("secret-ann", "ann")
	f.setSecrets(ann)
	s := startReady(t, f, redis.Addr())
	subscribers(t, redis, 1)
	for i := range 3 {
		redis.Close()
		f.setPolicies(newPolicy("policy-1", "ann", "allow", fmt.Sprint(i))) // of which nobody hears
		assert.False(t, s.ask(ann, fmt.Sprint(i)).Allowed)
		require.NoError(t, redis.Restart())
		s.eventually("what changed meanwhile is there", func() bool { return s.ask(ann, fmt.Sprint(i)).Allowed })
		publish(t, redis, notify.PolicyChanged, f.setPolicies())
		s.eventually("and news arrive", func() bool { return !s.ask(ann, fmt.Sprint(i)).Allowed })
	}
}

func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	addr := redis.Addr()
	redis.Close()
	ann := newSecret("secret-ann", "ann")
	f.setSecrets(ann)
	s := startReady(t, f, addr, func(o *authzserver.Options) { o.Reload = 20 * time.Millisecond })
	f.setPolicies(newPolicy("policy-1", "ann", "allow", "a"))
	s.eventually("the periodic load finds it", func() bool { return s.ask(ann, "a").Allowed })
	s.eventually("readyz shows it", func() bool { code, _ := s.get("/readyz/redis"); return code == http.StatusServiceUnavailable })
	assert.True(t, s.ready(), "and is ready all the same")
	s.eventually("what is held is not sent again", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.secrets.known >= 2 && f.policies.known >= 2
	})
	assert.NotContains(t, s.log.String(), "older than those held", "the same version again is not an older one")
}

func TestManyChangesAreFewLoads(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann := newSecret("secret-ann", "ann")
	f.setSecrets(ann)
	const debounce = 500 * time.Millisecond
	s := startReady(t, f, redis.Addr(), func(o *authzserver.Options) { o.Debounce = debounce })
	subscribers(t, redis, 1)
	s.eventually("the first loads are done", func() bool { secrets, policies := f.calls(); return secrets >= 2 && policies >= 2 })
	secretsBefore, policiesBefore := f.calls()

	client := notify.NewClient(redis.Addr())
	defer client.Close()
	publisher := notify.NewPublisher(client)
	const n = 300
	begin := time.Now()
	require.NoError(t, publisher.Publish(t.Context(), notify.SecretChanged, f.secrets.version), "that is held")
	for range n {
		require.NoError(t, publisher.Publish(t.Context(), notify.PolicyChanged, f.setPolicies(newPolicy("policy-1", "ann", "allow", "a"))))
	}
	last := f.setPolicies(newPolicy("policy-1", "ann", "allow", "b"))
	require.NoError(t, publisher.Publish(t.Context(), notify.PolicyChanged, last))
	s.eventually("the last change is there", func() bool { return s.ask(ann, "b").Allowed })
	secrets, policies := f.calls()
	assert.LessOrEqual(t, policies-policiesBefore, int(time.Since(begin)/debounce)+1, "one in each period")
	assert.Equal(t, secretsBefore, secrets, "a version that is held is not loaded")
}
