package authzserver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

func TestChangesArrive(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	s := startReady(t, f, redis.Addr())
	subscribers(t, redis, 1)
	for range 5 {
		publish(t, redis, notify.PolicyChanged, f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a")))
		s.eventually("allowed", func() bool { return s.ask(ann, "a").Allowed })
		publish(t, redis, notify.PolicyChanged, f.setPolicies())
		s.eventually("denied", func() bool { return !s.ask(ann, "a").Allowed })
	}
	publish(t, redis, notify.SecretChanged, f.setSecrets())
	s.eventually("the secret is gone", func() bool { return s.ask(ann, "a").Status == http.StatusUnauthorized })

	var ids []string
	f.locked(func() { ids = slices.Clone(f.ids) })
	require.NotEmpty(t, ids)
	for _, id := range ids {
		assert.Regexp(t, `^[0-9a-f]{32}$`, id)
	}
	assert.Regexp(t, `msg=loaded .*requestID=`+ids[0]+` .*full=true secrets=1 `, s.log.String(), "one ID in both logs")
}

// An answer that was read before a change, and comes after the news of it, is not the last one.
func TestSlowAnswerIsOvertaken(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	s := startReady(t, f, redis.Addr(), func(o *authzserver.Options) { o.Debounce = 0 })
	subscribers(t, redis, 1)

	var slow uint64
	reading, release := make(chan struct{}), make(chan struct{})
	begun := sync.OnceFunc(func() { close(reading) })
	f.locked(func() {
		f.policies = []*feed.Policy{newPolicy("policy-1", "user-ann", "allow", "a"), newPolicy("policy-2", "user-ann", "allow", "b")}
		slow = f.next()
		f.answer = func(_ context.Context, number uint64) {
			if number == slow {
				begun()
				<-release
			}
		}
	})
	publish(t, redis, notify.PolicyChanged, slow)
	<-reading
	publish(t, redis, notify.PolicyChanged, f.setPolicies(newPolicy("policy-2", "user-ann", "allow", "b")))
	close(release)
	s.eventually("the second change is there", func() bool { return s.ask(ann, "b").Allowed && !s.ask(ann, "a").Allowed })
}

// The apiserver is the one that knows: after a restore of the database its revision is an earlier
// one, or one with the same number.
func TestRestoreCounts(t *testing.T) {
	t.Parallel()
	ann := newSecret("secret-ann", "user-ann")
	for name, back := range map[string]uint64{"an earlier revision": 3, "the same number": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFeed(t)
			f.revision.Number = 7
			f.setSecrets(ann)
			f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a"))
			s := startReady(t, f, miniredis.RunT(t).Addr(), func(o *authzserver.Options) { o.Poll = 20 * time.Millisecond })
			assert.True(t, s.ask(ann, "a").Allowed)
			f.locked(func() {
				f.policies = nil
				f.revision = &feed.Revision{Number: f.revision.GetNumber() - back, Stamp: rand.Uint64()}
			})
			s.eventually("the policy is revoked", func() bool { return !s.ask(ann, "a").Allowed })
			s.eventuallyLogs("the database was restored")
		})
	}
}

// Increments change what they name and nothing else, and a deleted user's key is not worth what
// somebody new with its name has.
func TestIncrements(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann, ben := newSecret("secret-ann", "user-ann"), newSecret("secret-ben", "user-ben")
	f.setSecrets(ann, ben)
	f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a"), newPolicy("policy-2", "user-ben", "allow", "*"))
	s := startReady(t, f, redis.Addr(), func(o *authzserver.Options) { o.Poll = 20 * time.Millisecond })
	f.change(&feed.Chunk{Policies: []*feed.Policy{newPolicy("policy-1", "user-ann", "allow", "b"), newPolicy("policy-3", "user-ann", "allow", "c")}})
	s.eventually("changed and new", func() bool { return s.ask(ann, "b").Allowed && s.ask(ann, "c").Allowed && !s.ask(ann, "a").Allowed })
	f.change(&feed.Chunk{Deleted: []string{"policy-3", "policy-unknown"}})
	s.eventually("deleted", func() bool { return !s.ask(ann, "c").Allowed })
	assert.True(t, s.ask(ann, "b").Allowed)
	assert.True(t, s.ask(ben, "x").Allowed)
	f.change(&feed.Chunk{
		Deleted: []string{"secret-ann", "policy-1"}, Secrets: []*feed.Secret{newSecret("secret-ann2", "user-ann2")},
		Policies: []*feed.Policy{newPolicy("policy-4", "user-ann2", "allow", "*")},
	})
	s.eventually("a new ann", func() bool { return s.ask(newSecret("secret-ann2", ""), "d").Allowed })
	assert.Equal(t, 121002, s.ask(ann, "b").Code)
	f.change(&feed.Chunk{Secrets: []*feed.Secret{{Id: "secret-ben", OwnerId: "user-ben", Key: []byte("short")}}})
	s.eventually("a key that is too short does not leave the old one", func() bool { return s.ask(ben, "x").Code == 121002 })
	f.locked(func() { assert.Equal(t, 1, f.full, "everything, at the start") })
}

// The ID of the request that made a change is that of the load that it causes; one that is not
// valid is replaced.
func TestRequestIDOfAChange(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	s := startReady(t, f, redis.Addr())
	subscribers(t, redis, 1)
	for id, want := range map[string]string{"of-the-request": "^of-the-request$", `bad\nmsg=forged`: `^[0-9a-f]{32}$`} {
		// The first one may find that after the subscription waiting, which asks for this, too.
		got := ""
		for try := 0; try < 3 && !regexp.MustCompile(want).MatchString(got); try++ {
			number := f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a"))
			redis.Publish(notify.Channel, fmt.Sprintf(`{"event":"PolicyChanged","version":%d,"requestID":"%s"}`, number, id))
			s.eventually("loaded", func() bool {
				loaded := regexp.MustCompile(fmt.Sprintf(`msg=loaded .*requestID=(\S+) revision=%d `, number)).FindStringSubmatch(s.log.String())
				if loaded != nil {
					got = loaded[1]
				}
				return loaded != nil
			})
		}
		assert.Regexp(t, want, got)
	}
	f.locked(func() { assert.Contains(t, f.ids, "of-the-request") })
}

// If an apiserver is away, silent or broken, the next one is asked.
func TestFailover(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	one, two := startFeed(t), startFeed(t)
	ann := newSecret("secret-ann", "user-ann")
	for _, f := range []*fakeFeed{one, two} { // of one database
		f.secrets, f.policies = []*feed.Secret{ann}, []*feed.Policy{newPolicy("policy-1", "user-ann", "allow", "a")}
	}
	s := startReady(t, one, miniredis.RunT(t).Addr(), func(o *authzserver.Options) {
		o.Feeds, o.Poll = []string{"127.0.0.1:1", silent.Addr().String(), one.addr, two.addr}, 20*time.Millisecond
	})
	assert.True(t, s.ask(ann, "a").Allowed)
	assert.Zero(t, two.called())
	one.server.Stop()
	two.setPolicies()
	s.eventually("the other one's", func() bool { return !s.ask(ann, "a").Allowed })
}

// Without an apiserver for too long everything is denied, until there is one again; or goes on, if
// that is wanted.
func TestMaxStale(t *testing.T) {
	t.Parallel()
	f := startFeed(t)
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a"))
	poll := func(maxStale time.Duration) func(*authzserver.Options) {
		return func(o *authzserver.Options) { o.Poll, o.MaxStale = 50*time.Millisecond, maxStale }
	}
	s, forever := startReady(t, f, miniredis.RunT(t).Addr(), poll(5*time.Second)), startReady(t, f, miniredis.RunT(t).Addr(), poll(0))
	assert.True(t, s.ask(ann, "a").Allowed)
	f.locked(func() {
		f.raw = func(grpc.ServerStreamingServer[feed.Chunk]) error { return status.Error(codes.Unavailable, "gone") }
	})
	s.eventually("denied", func() bool { return !s.ask(ann, "a").Allowed })
	assert.Equal(t, "this server has not heard from an apiserver for longer than it may", s.ask(ann, "a").Reason)
	assert.False(t, s.ready())
	assert.True(t, forever.ask(ann, "a").Allowed)
	assert.True(t, forever.ready())
	f.locked(func() { f.raw = nil })
	s.eventually("and again", func() bool { return s.ready() && s.ask(ann, "a").Allowed })
}

func TestLargeSnapshot(t *testing.T) {
	t.Parallel()
	f := startFeed(t)
	const n = 3000
	f.locked(func() {
		f.chunk = 7
		for i := range n {
			f.secrets = append(f.secrets, newSecret(fmt.Sprintf("secret-%d", i), fmt.Sprintf("user-%d", i)))
			f.policies = append(f.policies, newPolicy(fmt.Sprintf("policy-%d", i), fmt.Sprintf("user-%d", i), "allow", fmt.Sprint(i)))
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
	one := []*feed.Policy{newPolicy("policy-1", "user-ann", "allow", "*")}
	tests := []struct {
		name string
		raw  func(grpc.ServerStreamingServer[feed.Chunk]) error
		want string
	}{
		{"empty", func(grpc.ServerStreamingServer[feed.Chunk]) error { return nil }, "the apiserver's answer is empty, want one chunk at least"},
		{"of two versions", func(stream grpc.ServerStreamingServer[feed.Chunk]) error {
			_ = stream.Send(&feed.Chunk{Revision: &feed.Revision{Number: 9}, Policies: one})
			return stream.Send(&feed.Chunk{Revision: &feed.Revision{Number: 10}})
		}, "the apiserver's answer has chunks of several revisions, or of none"},
		{"of no revision", func(stream grpc.ServerStreamingServer[feed.Chunk]) error {
			return stream.Send(&feed.Chunk{Full: true, Policies: one})
		}, "the apiserver's answer has chunks of several revisions, or of none"},
		{"broken off", func(stream grpc.ServerStreamingServer[feed.Chunk]) error {
			_ = stream.Send(&feed.Chunk{Revision: &feed.Revision{Number: 9}, Policies: one})
			return fmt.Errorf("the database went away")
		}, "the database went away"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := startFeed(t)
			ann := newSecret("secret-ann", "user-ann")
			f.setSecrets(ann)
			f.setPolicies(one...)
			f.locked(func() { f.raw = tt.raw })
			s := start(t, f, miniredis.RunT(t).Addr())
			s.eventuallyLogs(tt.want)
			assert.Equal(t, http.StatusServiceUnavailable, s.ask(ann, "a").Status)
			assert.False(t, s.ready())
			_, body := s.get("/readyz?verbose")
			assert.NotContains(t, body, tt.want, "bodies do not tell what failed")
			f.locked(func() { f.raw = nil })
			s.eventually("ready", s.ready)
			assert.True(t, s.ask(ann, "a").Allowed)
			s.eventuallyLogs("loading works again")
		})
	}
}

func TestApiserverComesLateAndGoes(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "iam") // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	f := newFeed()
	f.addr, f.token = "unix:"+filepath.Join(dir, "feed"), "another"
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a"))

	ready := make(chan string, 1)
	s := start(t, f, miniredis.RunT(t).Addr(), func(o *authzserver.Options) { o.OnReady = func(addr string) { ready <- addr } })
	s.eventuallyLogs(`msg="cannot load, trying until it works"`)
	assert.False(t, s.ready())
	assert.Equal(t, 100010, s.ask(ann, "a").Code)

	f.start(t, f.addr)
	s.eventually("it is refused", func() bool { return f.called() > 0 })
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
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	redis.SetError("not yet") // no subscription, whose load could come in the middle of the first round
	s := startReady(t, f, redis.Addr())
	for i := range 4 {
		redis.Close()
		f.setPolicies(newPolicy("policy-1", "user-ann", "allow", fmt.Sprint(i))) // of which nobody hears
		assert.False(t, s.ask(ann, fmt.Sprint(i)).Allowed)
		redis.SetError("")
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
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	s := startReady(t, f, addr, func(o *authzserver.Options) { o.Poll = 20 * time.Millisecond })
	f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a"))
	s.eventually("the periodic load finds it", func() bool { return s.ask(ann, "a").Allowed })
	s.eventually("readyz shows it", func() bool { code, _ := s.get("/readyz/redis"); return code == http.StatusServiceUnavailable })
	assert.True(t, s.ready(), "and is ready all the same")
	s.eventually("what is held is not sent again", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.known >= 2 && f.full <= 2
	})
}

func TestManyChangesAreFewLoads(t *testing.T) {
	t.Parallel()
	f, redis := startFeed(t), miniredis.RunT(t)
	ann := newSecret("secret-ann", "user-ann")
	f.setSecrets(ann)
	const debounce = 500 * time.Millisecond
	s := startReady(t, f, redis.Addr(), func(o *authzserver.Options) { o.Debounce = debounce })
	subscribers(t, redis, 1)
	before := f.called()

	const n = 300
	begin := time.Now()
	publish(t, redis, notify.SecretChanged, f.revision.GetNumber()) // that is held
	for range n {
		publish(t, redis, notify.PolicyChanged, f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "a")))
	}
	publish(t, redis, notify.PolicyChanged, f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "b")))
	s.eventually("the last change is there", func() bool { return s.ask(ann, "b").Allowed })
	assert.LessOrEqual(t, f.called()-before, int(time.Since(begin)/debounce)+2, "one in each period, and the first at once")
}
