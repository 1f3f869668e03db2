package authzserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/examples/iam/internal/feed"
)

func TestAuthorize(t *testing.T) {
	t.Parallel()
	f := startFeed(t)
	ann, ben := newSecret("secret-ann", "user-ann"), newSecret("secret-ben", "user-ben")
	expired := newSecret("secret-old", "user-ann")
	expired.Expires = time.Now().Add(-time.Second).Unix()
	lasting := newSecret("secret-new", "user-ann")
	lasting.Expires = time.Now().Add(time.Hour).Unix()
	short := newSecret("secret-short", "user-ann")
	short.Key = short.Key[:15]
	empty := &feed.Secret{Id: "secret-empty", OwnerId: "user-ann"}
	f.setSecrets(ann, ben, expired, lasting, short, empty)
	f.setPolicies(
		newPolicy("policy-1", "user-ann", "allow", "articles:*"),
		newPolicy("policy-2", "user-ann", "deny", "articles:secret"),
		newPolicy("policy-3", "eve", "allow", "*"),
	)
	s := startReady(t, f, miniredis.RunT(t).Addr())

	t.Run("decisions", func(t *testing.T) {
		tests := []struct {
			name     string
			secret   *feed.Secret
			resource string
			want     answer
		}{
			{"allowed", ann, "articles:1", answer{Status: 200, Allowed: true, Reason: "allowed by policy-1"}},
			{"denied", ann, "articles:secret", answer{Status: 200, Reason: "denied by policy-2"}},
			{"not allowed", ann, "books:1", answer{Status: 200, Reason: "no policy allows it"}},
			{"an owner without policies", ben, "articles:1", answer{Status: 200, Reason: "no policy allows it"}},
			{"a secret that expires later", lasting, "articles:1", answer{Status: 200, Allowed: true, Reason: "allowed by policy-1"}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, s.ask(tt.secret, tt.resource)) })
		}
	})

	t.Run("tokens", func(t *testing.T) {
		claim := func(name string, value any) string {
			return "Bearer " + sign(t, ann, func(_ *jwt.Token, c jwt.MapClaims) { c[name] = value })
		}
		without := func(name string) string {
			return "Bearer " + sign(t, ann, func(_ *jwt.Token, c jwt.MapClaims) { delete(c, name) })
		}
		header := func(name string, value any) string {
			return "Bearer " + sign(t, ann, func(token *jwt.Token, _ jwt.MapClaims) { token.Header[name] = value })
		}
		method := func(m jwt.SigningMethod) string {
			return "Bearer " + sign(t, ann, func(token *jwt.Token, _ jwt.MapClaims) { token.Method, token.Header["alg"] = m, m.Alg() })
		}
		forged := &feed.Secret{Id: "secret-ann", Key: ben.GetKey()}
		good := sign(t, ann, nil)
		now := time.Now()
		tests := []struct {
			name, header string
			code         int
		}{
			{"none", "", 121001},
			{"another scheme", "Basic YW5uOmI=", 121001},
			{"no token after the scheme", "Bearer ", 121001},
			{"the token alone", good, 121001},
			{"rubbish", "Bearer rubbish", 121002},
			{"cut off", "Bearer " + good[:len(good)-2], 121002},
			{"something behind it", "Bearer " + good + " x", 121002},
			{"signed by another key", "Bearer " + sign(t, forged, nil), 121002},
			{"expired and signed by another key", "Bearer " + sign(t, forged, func(_ *jwt.Token, c jwt.MapClaims) { c["exp"] = 1 }), 121002},
			{"unknown secret", "Bearer " + sign(t, newSecret("secret-no", "user-ann"), nil), 121002},
			{"secret with a short key", "Bearer " + sign(t, short, nil), 121002},
			{"secret with an empty key", "Bearer " + sign(t, empty, nil), 121002},
			{"no kid", header("kid", nil), 121002},
			{"kid of another type", header("kid", 7), 121002},
			{"HS384", method(jwt.SigningMethodHS384), 121002},
			{"unsigned", method(jwt.SigningMethodNone), 121002},
			{"for the apiserver", claim("aud", "iam.api"), 121002},
			{"for nobody", without("aud"), 121002},
			{"not valid yet", claim("nbf", now.Add(time.Hour).Unix()), 121002},
			{"expired", claim("exp", now.Add(-time.Second).Unix()), 121003},
			{"never expires", without("exp"), 121004},
			{"expires in a day", claim("exp", now.Add(24*time.Hour).Unix()), 121004},
			{"of an expired secret", "Bearer " + sign(t, expired, nil), 121005},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				got := s.post(tt.header, "application/json", `{"subject":"users:ann","action":"read","resource":"articles:1"}`)
				assert.Equal(t, http.StatusUnauthorized, got.Status)
				assert.Equal(t, tt.code, got.Code, got.Message)
				assert.False(t, got.Allowed)
				assert.Regexp(t, `^[0-9a-f]{32}$`, got.RequestID)
			})
		}
		assert.Equal(t, 200, s.post("bearer "+good, "application/json", `{"subject":"a","action":"b","resource":"c"}`).Status, "schemes have no case")
		assert.Equal(t, 200, s.post(claim("nbf", now.Add(30*time.Second).Unix()), "application/json", `{"subject":"a","action":"b","resource":"c"}`).Status, "clocks differ")
		assert.Equal(t, 200, s.post(claim("aud", []string{"other", "iam.authz"}), "application/json", `{"subject":"a","action":"b","resource":"c"}`).Status)
	})

	t.Run("bodies", func(t *testing.T) {
		token := "Bearer " + sign(t, ann, nil)
		long := strings.Repeat("x", 1025)
		tests := []struct {
			name, contentType, body string
			status                  int
			message                 string
		}{
			{"empty", "application/json", "", 400, "the body is empty, must be JSON"},
			{"malformed", "application/json", `{"subject":}`, 400, "the body is not JSON, at byte 12"},
			{"unknown field", "application/json", `{"subject":"a","action":"b","resource":"c","user":"d"}`, 400, `unknown field "user"`},
			{"two values", "application/json", `{"subject":"a","action":"b","resource":"c"}{}`, 400, "the body has more than one JSON value"},
			{"a number", "application/json", `{"subject":7,"action":"b","resource":"c"}`, 400, "subject: a JSON number does not fit here"},
			{"no subject", "application/json", `{"action":"b","resource":"c"}`, 400, "subject has 0 bytes, want 1 to 1024"},
			{"no action", "application/json", `{"subject":"a","action":"","resource":"c"}`, 400, "action has 0 bytes, want 1 to 1024"},
			{"long resource", "application/json", `{"subject":"a","action":"b","resource":"` + long + `"}`, 400, "resource has 1025 bytes, want 1 to 1024"},
			{"too large", "application/json", `{"subject":"` + strings.Repeat("x", 16<<10) + `"}`, 413, "the body is larger than 16384 bytes"},
			{"not declared as JSON", "text/plain", `{"subject":"a","action":"b","resource":"c"}`, 415, `Content-Type is "text/plain", must be application/json`},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				got := s.post(token, tt.contentType, tt.body)
				assert.Equal(t, tt.status, got.Status)
				assert.Equal(t, tt.message, got.Message)
				assert.False(t, got.Allowed)
			})
		}
	})

	t.Run("other routes", func(t *testing.T) {
		for path, want := range map[string]int{"/v1/authz": 405, "/nothing": 404, "/livez": 200, "/startupz": 200, "/readyz/copy": 200, "/cachez": 200} {
			status, _ := s.get(path)
			assert.Equal(t, want, status, path)
		}
		_, body := s.get("/cachez")
		assert.Regexp(t, `^\{"age":"[^"]+","policies":3,"revision":"3-[0-9a-f]+","secrets":4\}$`, body)
	})

	// The log of a request has its ID and its user, and of keys and tokens nothing.
	assert.Regexp(t, `msg=request .*requestID=[0-9a-f]{32} username=user-ann method=POST path=/v1/authz status=200 `, s.log.String())
	assert.Contains(t, s.log.String(), "a secret is left out, since its key is too short")
	assert.NotContains(t, s.log.String(), "0123456789abcdef")
	assert.NotContains(t, s.log.String(), "eyJ")
}

// What cannot be read may be a denial.
func TestUnreadablePolicyDeniesItsOwner(t *testing.T) {
	t.Parallel()
	f := startFeed(t)
	ann, ben := newSecret("secret-ann", "user-ann"), newSecret("secret-ben", "user-ben")
	f.setSecrets(ann, ben)
	f.setPolicies(newPolicy("policy-1", "user-ann", "allow", "*"), newPolicy("policy-2", "user-ben", "allow", "*"), newPolicy("policy-3", "user-ann", "perhaps", "*"))
	s := startReady(t, f, miniredis.RunT(t).Addr())
	assert.Equal(t, answer{Status: 200, Reason: "policy-3 cannot be read, and could be one that denies"}, s.ask(ann, "a"))
	assert.True(t, s.ask(ben, "a").Allowed)
	assert.Contains(t, s.log.String(), `policy-3 of user-ann: policy: effect \"perhaps\", want \"allow\" or \"deny\"`)
}
