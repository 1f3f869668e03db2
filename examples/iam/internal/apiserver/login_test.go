package apiserver_test

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.user("ann")
	for name, body := range map[string]object{
		"wrong password":    {"name": "ann", "password": "password of bob"},
		"no password":       {"name": "ann"},
		"unknown user":      {"name": "carl", "password": "password of ann"},
		"SQL":               {"name": "ann' OR '1'='1", "password": "password of ann"},
		"another case":      {"name": "ANN", "password": "password of ann"},
		"a password beyond": {"name": "ann", "password": strings.Repeat("x", 1000)},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.anonymous().do("POST", "/login", body)
			assert.Equal(t, http.StatusUnauthorized, got.status)
			assert.Equal(t, 130007, got.code())
			assert.Equal(t, "wrong name or password", got.body["message"], "the same for all of them")
		})
	}
	assert.NotContains(t, s.log.String(), "password of")
}

// bcrypt looks at the first 72 bytes of a password that repeats without end, with a 0 in between.
func TestPasswordsThatBcryptTakesForTheSame(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	longest := strings.Repeat("x", 72)
	s.admin.must(http.StatusCreated, "POST", "/v1/users", object{"metadata": object{"name": "ann"}, "password": longest})
	s.admin.must(http.StatusCreated, "POST", "/v1/users", object{"metadata": object{"name": "bob"}, "password": "a secret"})
	for name, passwords := range map[string][2]string{"ann": {longest, longest + "y"}, "bob": {"a secret", "a secret\x00a secret"}} {
		s.login(name, passwords[0])
		got := s.anonymous().do("POST", "/login", object{"name": name, "password": passwords[1]})
		assert.Equal(t, http.StatusUnauthorized, got.status, got.text)
	}
}

// An admin who was deleted does not come back with the next start, with a password that the new
// admins did not choose.
func TestTheFirstAdminMayGo(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	created := 0
	count := func(o *apiserver.Options) { o.OnFirstStart = func() { created++ } }
	s := start(t, db, count)
	assert.Equal(t, 1, created)
	s.admin.must(http.StatusCreated, "POST", "/v1/users", object{"metadata": object{"name": "root"}, "admin": true, "password": "password"})
	s.login("root", "password").must(http.StatusNoContent, "DELETE", "/v1/users/admin", nil)
	s.stop()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := options(t, db)
	count(&o)
	o.Redis = s.redis.Addr()
	o.OnReady = func(string, string) { cancel() }
	require.NoError(t, apiserver.Run(ctx, o))
	assert.Equal(t, 1, created)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	ann := s.user("ann")
	var good jwt.MapClaims
	_, _, err := jwt.NewParser().ParseUnverified(ann.token, &good)
	require.NoError(t, err)
	assert.Regexp(t, `^user-`, good["sub"])

	sign := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		claims := maps.Clone(good)
		change(claims)
		token, err := jwt.NewWithClaims(method, claims).SignedString(key)
		require.NoError(t, err)
		return token
	}
	same := func(jwt.MapClaims) {}
	part := strings.Split(ann.token, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + part[1] + "."

	require.Equal(t, http.StatusOK, client{s, sign(jwt.SigningMethodHS256, loginKey, same)}.do("GET", "/v1/secrets", nil).status, "what the others differ from")
	for name, tt := range map[string]struct {
		token string
		code  int
	}{
		"none":             {"", 100008},
		"expired":          {sign(jwt.SigningMethodHS256, loginKey, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Second).Unix() }), 130006},
		"another key":      {sign(jwt.SigningMethodHS256, []byte("a key for the logins, somebody else's"), same), 130005},
		"expired, forged":  {sign(jwt.SigningMethodHS256, []byte("x"), func(c jwt.MapClaims) { c["exp"] = 1 }), 130005},
		"alg none":         {none, 130005},
		"alg HS512":        {sign(jwt.SigningMethodHS512, loginKey, same), 130005},
		"another audience": {sign(jwt.SigningMethodHS256, loginKey, func(c jwt.MapClaims) { c["aud"] = "iam.authz" }), 130005},
		"no audience":      {sign(jwt.SigningMethodHS256, loginKey, func(c jwt.MapClaims) { delete(c, "aud") }), 130005},
		"no expiry":        {sign(jwt.SigningMethodHS256, loginKey, func(c jwt.MapClaims) { delete(c, "exp") }), 130005},
		"no subject":       {sign(jwt.SigningMethodHS256, loginKey, func(c jwt.MapClaims) { delete(c, "sub") }), 130005},
		"unknown subject":  {sign(jwt.SigningMethodHS256, loginKey, func(c jwt.MapClaims) { c["sub"] = "user-aaaaaa" }), 130005},
		"no password":      {sign(jwt.SigningMethodHS256, loginKey, func(c jwt.MapClaims) { delete(c, "pwd") }), 130005},
		"cut":              {ann.token[:len(ann.token)-3], 130005},
		"garbage":          {"x.y.z", 130005},
	} {
		t.Run(name, func(t *testing.T) {
			got := client{s, tt.token}.do("GET", "/v1/secrets", nil)
			assert.Equal(t, http.StatusUnauthorized, got.status)
			assert.Equal(t, tt.code, got.code(), got.text)
			assert.Contains(t, got.header.Get("WWW-Authenticate"), "Bearer")
			assert.NotContains(t, got.text, "signature", "no hints")
		})
	}
}

func TestANewPasswordVoidsTokens(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	ann := s.user("ann")
	ann.must(http.StatusNoContent, "PUT", "/v1/users/ann/change-password",
		object{"oldPassword": "password of ann", "newPassword": "another password"})
	assert.Equal(t, http.StatusUnauthorized, ann.do("GET", "/v1/users/ann", nil).status)
	assert.Equal(t, http.StatusUnauthorized, s.anonymous().do("POST", "/login", object{"name": "ann", "password": "password of ann"}).status)
	ann = s.login("ann", "another password")
	ann.must(http.StatusOK, "GET", "/v1/users/ann", nil)

	// An admin gives one to who has forgotten it.
	s.admin.must(http.StatusOK, "PUT", "/v1/users/ann", object{"password": "a third password"})
	assert.Equal(t, http.StatusUnauthorized, ann.do("GET", "/v1/users/ann", nil).status)
	s.login("ann", "a third password")
}

func TestDisabledUsers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann, bob := s.user("ann"), s.user("bob")
		for _, c := range []client{ann, bob} {
			c.must(http.StatusCreated, "POST", "/v1/secrets", newSecret("ci"))
		}
		require.Len(t, s.feedSecrets(), 2)
		disabled := s.admin.must(http.StatusOK, "PUT", "/v1/users/ann", object{"disabled": true})
		assert.Equal(t, true, disabled.body["disabled"])
		assert.Equal(t, 130104, ann.do("GET", "/v1/secrets", nil).code(), "with a token from before")
		login := s.anonymous().do("POST", "/login", object{"name": "ann", "password": "password of ann"})
		assert.Equal(t, http.StatusForbidden, login.status)
		assert.Equal(t, 130007, s.anonymous().do("POST", "/login", object{"name": "ann", "password": "a guess"}).code(), "only who knows the password learns it")
		require.Len(t, s.feedSecrets(), 1, "the authzservers refuse hers")

		s.admin.must(http.StatusOK, "PUT", "/v1/users/ann", object{"email": "a@b"})
		assert.Len(t, s.feedSecrets(), 1, "what is left out stays as it is")
		items, _ := s.admin.list("/v1/users?fieldSelector=disabled=true")
		assert.Equal(t, []string{"ann"}, names(items))
		s.admin.must(http.StatusOK, "PUT", "/v1/users/ann", object{"disabled": false})
		ann.must(http.StatusOK, "GET", "/v1/secrets", nil)
		assert.Len(t, s.feedSecrets(), 2)
	})
}

// What an admin takes away is gone at once, not when the token expires.
func TestDemotion(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	bob := s.user("bob")
	s.admin.must(http.StatusOK, "PUT", "/v1/users/bob", object{"admin": true})
	bob.must(http.StatusOK, "GET", "/v1/users", nil)
	s.admin.must(http.StatusOK, "PUT", "/v1/users/bob", object{"admin": false})
	bob.must(http.StatusForbidden, "GET", "/v1/users", nil)
}

func TestLoginsAreLimited(t *testing.T) {
	t.Parallel()
	s := start(t, "memory", func(o *apiserver.Options) { o.LoginsPerSecond = 0.001 }) // so one at once, which the test has made
	got := s.anonymous().do("POST", "/login", object{"name": "admin", "password": adminPassword})
	assert.Equal(t, http.StatusTooManyRequests, got.status)
	assert.Equal(t, 100004, got.code())
	assert.NotEmpty(t, got.header.Get("Retry-After"))
	s.admin.must(http.StatusOK, "GET", "/v1/users", nil) // who is in stays in
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*apiserver.Options)
		want   string
	}{
		"a short key":       {func(o *apiserver.Options) { o.LoginKey = []byte("short") }, "the key of the logins has 5 bytes, want at least 32"},
		"a short token":     {func(o *apiserver.Options) { o.FeedToken = "short" }, "the token of the feed has 5 bytes, want at least 16"},
		"an open feed":      {func(o *apiserver.Options) { o.Feed = "0.0.0.0:0" }, `the feed's address is "0.0.0.0:0", must be one of loopback`},
		"every interface":   {func(o *apiserver.Options) { o.Feed = ":0" }, `the feed's address is ":0", must be one of loopback`},
		"a cost":            {func(o *apiserver.Options) { o.BcryptCost = 99 }, "the bcrypt cost is 99, want 4 to 31"},
		"a delay":           {func(o *apiserver.Options) { o.Delay = time.Minute }, "delay is 1m0s, which leaves nothing of grace 25s to stop in"},
		"a database":        {func(o *apiserver.Options) { o.DB = "oracle:x" }, `store: database "oracle:x"`},
		"a short password":  {func(o *apiserver.Options) { o.AdminPassword = "short" }, "creating the user admin: password has 5 bytes"},
		"an address in use": {func(o *apiserver.Options) { o.Addr = listen(t).Addr().String() }, "address already in use"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, "memory")
			o.Redis = "127.0.0.1:1" // nothing has to be there
			tt.change(&o)
			assert.ErrorContains(t, apiserver.Run(t.Context(), o), tt.want)
		})
	}
}
