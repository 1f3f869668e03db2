package apiserver_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
)

type badInput struct {
	name         string
	client       client
	method, path string
	body         any
	status, code int
	message      string // a part of it
}

// Bad input gets its status and its code, leaks nothing, and changes nothing.
func TestBadInput(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann, bob := s.user("ann"), s.user("bob")
		secret := ann.must(http.StatusCreated, "POST", "/v1/secrets", newSecret("ci"))
		policy := ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("read", "allow"))
		secretPath, policyPath := "/v1/secrets/"+secret.id(), "/v1/policies/"+policy.id()
		unknownSecret := "/v1/secrets/secret-aaaaaa" // well-formed, as every code is

		state := func() string {
			return s.admin.must(http.StatusOK, "GET", "/v1/users?limit=1000", nil).text +
				ann.must(http.StatusOK, "GET", "/v1/secrets?limit=1000", nil).text + ann.must(http.StatusOK, "GET", "/v1/policies?limit=1000", nil).text +
				bob.must(http.StatusOK, "GET", "/v1/secrets?limit=1000", nil).text + bob.must(http.StatusOK, "GET", "/v1/policies?limit=1000", nil).text
		}
		before := state()
		injections := []string{"'; DROP TABLE users; --", `" OR ""="`, "ann' OR '1'='1", "a`b", "../admin", "a b", "x\x00y", "ä", "", strings.Repeat("a", 65)}

		tests := []badInput{
			{"malformed JSON", ann, "POST", "/v1/secrets", `{"metadata":{"name":"x"`, 400, 100005, "ends in the middle"},
			{"not JSON", ann, "POST", "/v1/secrets", `<xml/>`, 400, 100005, "not JSON, at byte 1"},
			{"no body", ann, "POST", "/v1/secrets", ``, 400, 100005, "the body is empty"},
			{"two values", ann, "POST", "/v1/secrets", `{"metadata":{"name":"x"}}{}`, 400, 100005, "more than one JSON value"},
			{"an array", ann, "POST", "/v1/secrets", `[]`, 400, 100005, "does not fit"},
			{"another type", ann, "POST", "/v1/secrets", `{"metadata":{"name":7}}`, 400, 100005, "does not fit"},
			{"unknown field", ann, "POST", "/v1/secrets", `{"metadata":{"name":"x"},"admin":true}`, 400, 100005, `unknown field "admin"`},
			{"unknown field in metadata", ann, "POST", "/v1/secrets", `{"metadata":{"name":"x","id":1}}`, 400, 100005, `unknown field "id"`},
			{"the hash of a password", s.admin, "POST", "/v1/users", `{"metadata":{"name":"x"},"password":"12345678","passwordHash":"x"}`, 400, 100005, "unknown field"},
			{"too large a body", ann, "POST", "/v1/secrets", `{"description":"` + strings.Repeat("x", 1<<20) + `"}`, 413, 100006, "1048576"},
			{"too large a body in chunks", ann, "POST", "/v1/secrets", io.MultiReader(strings.NewReader(`{"description":"` + strings.Repeat("x", 1<<20) + `"}`)), 413, 100006, "1048576"},
			{"too large a body at login", s.anonymous(), "POST", "/login", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, 100006, ""},
			{"too long a description", ann, "POST", "/v1/secrets", object{"metadata": object{"name": "x"}, "description": strings.Repeat("x", 257)}, 400, 130001, "257 bytes"},
			{"a control character", ann, "POST", "/v1/secrets", object{"metadata": object{"name": "x"}, "description": "a\x00b"}, 400, 130001, "control characters"},
			{"too large an extend", ann, "POST", "/v1/secrets", object{"metadata": object{"name": "x", "extend": object{"a": strings.Repeat("x", 9000)}}}, 400, 130001, "metadata.extend"},
			{"a negative time", ann, "POST", "/v1/secrets", object{"metadata": object{"name": "x"}, "expires": -1}, 400, 130001, "expires is -1"},

			{"a policy's ID for a secret", ann, "GET", "/v1/secrets/" + policy.id(), nil, 400, 130003, "not the instance ID of a secret"},
			{"a secret's ID for a policy", ann, "DELETE", "/v1/policies/" + secret.id(), nil, 400, 130003, "not the instance ID of a policy"},
			{"a number for an ID", ann, "GET", "/v1/secrets/1", nil, 400, 130003, "not the instance ID of a secret"},
			{"SQL for an ID", ann, "DELETE", "/v1/secrets/secret-aaaaaa'%20OR%20'1'='1", nil, 400, 130003, "not the instance ID of a secret"},
			{"a wrong ID in the body", ann, "PUT", secretPath, object{"metadata": object{"instanceID": policy.id()}}, 400, 130003, "in the body"},
			{"an unknown secret", ann, "GET", unknownSecret, nil, 404, 130201, "no such secret"},

			{"somebody else's secret", bob, "GET", secretPath, nil, 404, 130201, "no such secret"},
			{"somebody else's secret, changed", bob, "PUT", secretPath, object{"description": "mine"}, 404, 130201, "no such secret"},
			{"somebody else's secret, deleted", bob, "DELETE", secretPath, nil, 404, 130201, "no such secret"},
			{"an admin and somebody else's secret", s.admin, "PUT", secretPath, object{}, 404, 130201, "no such secret"},
			{"a name for all users", s.admin, "DELETE", "/v1/users", nil, 400, 130004, "say which"},
			{"a parameter that is none", s.admin, "DELETE", "/v1/users?nmae=ann", nil, 400, 130004, `unknown parameter "nmae"`},
			{"all and one", s.admin, "DELETE", "/v1/users?name=ann&all=true", nil, 400, 130004, "say which"},
			{"all=1", s.admin, "DELETE", "/v1/users?all=1", nil, 400, 130004, "say which"},
			{"an unknown field", s.admin, "DELETE", "/v1/users?fieldSelector=passwordHash=x", nil, 400, 130004, `no field "passwordHash"`},
			{"no value", s.admin, "DELETE", "/v1/users?fieldSelector=name", nil, 400, 130004, "want field=value"},
			{"a field twice", s.admin, "GET", "/v1/users?fieldSelector=name=ann,name=bob", nil, 400, 130004, "once for each"},
			{"neither true nor false", s.admin, "GET", "/v1/users?fieldSelector=admin=maybe", nil, 400, 130004, "true or false"},
			{"a name that is none", s.admin, "DELETE", "/v1/users?name=ann%20", nil, 400, 130002, "metadata.name"},
			{"a parameter where there are none", ann, "GET", secretPath + "?verbose=1", nil, 400, 130004, "there are none here"},
			{"a parameter at the login", s.anonymous(), "POST", "/login?x=1", object{}, 400, 130004, "there are none here"},
			{"a parameter twice", ann, "GET", "/v1/secrets?limit=1&limit=2", nil, 400, 130004, "limit comes twice"},
			{"somebody else's secrets", bob, "GET", "/v1/secrets?fieldSelector=owner=ann", nil, 404, 130101, "no such user"},
			{"somebody else's secrets, deleted", bob, "DELETE", "/v1/secrets?fieldSelector=owner=ann", nil, 404, 130101, "no such user"},
			{"a page of nothing", ann, "GET", "/v2/policies?after=" + secret.id(), nil, 400, 130004, "after must be"},
			{"an offset in version 2", ann, "GET", "/v2/policies?offset=1", nil, 400, 130004, `unknown parameter "offset"`},
			{"a policy in two cases", ann, "POST", "/v1/policies", `{"metadata":{"name":"x"},"policy":{"effect":"deny"},"Policy":{"effect":"allow"}}`, 400, 100005, `"Policy" must be written "policy"`},
			{"a policy twice", ann, "POST", "/v1/policies", `{"metadata":{"name":"x"},"policy":{},"policy":{}}`, 400, 100005, `"policy" comes twice`},
			{"extend twice", ann, "POST", "/v1/secrets", `{"metadata":{"name":"x","extend":{"a":1,"a":2}}}`, 400, 100005, `extend: "a" comes twice`},
			{"extend too deep", ann, "POST", "/v1/secrets", `{"metadata":{"name":"x","extend":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}}`, 400, 100005, "nested more than 100 deep"},
			{"no number", ann, "POST", "/v1/secrets", `{"metadata":{"name":"x","extend":{"a":1e999}}}`, 400, 100005, "1e999"},
			{"a time that is over", ann, "POST", "/v1/secrets", object{"metadata": object{"name": "x"}, "expires": 1}, 400, 130001, "expires is 1"},
			{"a time that is over, later", ann, "PUT", secretPath, object{"expires": 1}, 400, 130001, "expires is 1"},
			{"a time beyond the year 9999", ann, "PUT", secretPath, object{"expires": int64(253402300800)}, 400, 130001, "year 9999"},
			{"the old password is wrong", ann, "PUT", "/v1/users/ann/change-password", object{"oldPassword": "password of bob", "newPassword": "12345678"}, 403, 130008, "old password"},
			{"another's password", bob, "PUT", "/v1/users/ann/change-password", object{"oldPassword": "password of ann", "newPassword": "12345678"}, 404, 130101, "no such user"},
			{"a short new password", ann, "PUT", "/v1/users/ann/change-password", object{"oldPassword": "password of ann", "newPassword": "1234567"}, 400, 130001, "password has 7 bytes"},
			{"a password without the old one", ann, "PUT", "/v1/users/ann", object{"password": "12345678"}, 403, 100009, "change-password"},
			{"the admin disabled", s.admin, "PUT", "/v1/users/admin", object{"disabled": true}, 409, 130103, "disable itself"},
			{"disabled by himself", bob, "PUT", "/v1/users/bob", object{"disabled": true}, 403, 100009, "only an admin"},
			{"somebody else's policy", bob, "GET", policyPath, nil, 404, 130301, "no such policy"},
			{"somebody else's policy, changed", bob, "PUT", policyPath, newPolicy("", "deny"), 404, 130301, "no such policy"},
			{"somebody else's policy, deleted", bob, "DELETE", policyPath, nil, 404, 130301, "no such policy"},
			{"another user", bob, "GET", "/v1/users/ann", nil, 404, 130101, "no such user"},
			{"another user, changed", bob, "PUT", "/v1/users/ann", object{"password": "bob knows it"}, 404, 130101, "no such user"},
			{"another user, deleted", bob, "DELETE", "/v1/users/ann", nil, 404, 130101, "no such user"},
			{"all users", bob, "GET", "/v1/users", nil, 403, 100009, "only an admin"},
			{"all users, deleted", bob, "DELETE", "/v1/users?all=true", nil, 403, 100009, "only an admin"},
			{"a new user", bob, "POST", "/v1/users", object{"metadata": object{"name": "x"}, "password": "12345678"}, 403, 100009, "only an admin"},
			{"an admin by himself", bob, "PUT", "/v1/users/bob", object{"admin": true}, 403, 100009, "only an admin"},
			{"an admin no more", s.admin, "PUT", "/v1/users/admin", object{"admin": false}, 409, 130103, "demote"},
			{"the admin deleted", s.admin, "DELETE", "/v1/users/admin", nil, 409, 130103, "delete"},

			{"another name", ann, "PUT", secretPath, newSecret("other"), 400, 130002, "a name never changes"},
			{"a name with SQL, not found", s.admin, "GET", "/v1/users/ann'%20OR%20'1'='1", nil, 404, 130101, "no such user"},
			{"a name with SQL, deleted", s.admin, "DELETE", "/v1/users/x'%20OR%20'1'='1", nil, 404, 130101, "no such user"},
			{"a name with a space", s.admin, "GET", "/v1/users/ann%20", nil, 404, 130101, "no such user"},
			{"a name with a space, changed", s.admin, "PUT", "/v1/users/admin%20", object{}, 404, 130101, "no such user"},
			{"a name with a space, deleted", s.admin, "DELETE", "/v1/users/admin%20", nil, 404, 130101, "no such user"},
			{"a name with a 0", s.admin, "GET", "/v1/users/ann%00", nil, 404, 130101, "no such user"},
			{"a name not in UTF-8", s.admin, "GET", "/v1/users/%ff", nil, 404, 130101, "no such user"},
			{"a name not in UTF-8, changed", s.admin, "PUT", "/v1/users/%ff", object{}, 404, 130101, "no such user"},
			{"a name not in UTF-8, deleted", s.admin, "DELETE", "/v1/users/%ff", nil, 404, 130101, "no such user"},
			{"a login with a space", s.anonymous(), "POST", "/login", object{"name": "ann ", "password": "password of ann"}, 401, 130007, "wrong name or password"},
			{"a login with a 0", s.anonymous(), "POST", "/login", object{"name": "ann\x00", "password": "password of ann"}, 401, 130007, "wrong name or password"},
			{"a short password", s.admin, "POST", "/v1/users", object{"metadata": object{"name": "x"}, "password": "1234567"}, 400, 130001, "password has 7 bytes"},
			{"a long password", s.admin, "POST", "/v1/users", object{"metadata": object{"name": "x"}, "password": strings.Repeat("x", 73)}, 400, 130001, "password has 73 bytes"},
			{"a password with a 0", s.admin, "POST", "/v1/users", object{"metadata": object{"name": "x"}, "password": "1234567\x008"}, 400, 130001, "character 0"},
			{"no address", s.admin, "POST", "/v1/users", object{"metadata": object{"name": "x"}, "email": "x", "password": "12345678"}, 400, 130001, "must have an @"},

			{"no policy", ann, "POST", "/v1/policies", newSecret("x"), 400, 130303, "policy is missing"},
			{"null for a policy", ann, "POST", "/v1/policies", object{"metadata": object{"name": "x"}, "policy": nil}, 400, 130303, "policy"},
			{"an unknown effect", ann, "POST", "/v1/policies", newPolicy("x", "maybe"), 400, 130303, `effect "maybe"`},
			{"a misspelled policy", ann, "PUT", policyPath, `{"policy":{"effect":"deny","subject":["*"]}}`, 400, 130303, `unknown member "subject"`},

			{"a word for a limit", ann, "GET", "/v1/secrets?limit=all", nil, 400, 130004, "whole numbers"},
			{"a negative offset", ann, "GET", "/v1/policies?offset=-1", nil, 400, 130004, "negative"},
			{"SQL for an offset", ann, "GET", "/v1/policies?offset=0%3BDROP", nil, 400, 130004, "whole numbers"},
			{"a query that is none", ann, "GET", "/v1/policies?offset=0;limit=1", nil, 400, 130004, "the query cannot be read"},
			{"too large an offset", s.admin, "GET", "/v1/users?offset=99999999999999999999", nil, 400, 130004, "whole numbers"},
			{"no route", ann, "GET", "/v1/nothing", nil, 404, 100002, "no such route"},
			{"no method", ann, "PATCH", secretPath, object{}, 405, 100003, "not allowed"},
		}
		for _, injection := range injections {
			name := "name " + injection[:min(len(injection), 12)]
			tests = append(tests,
				badInput{name + " of a user", s.admin, "POST", "/v1/users", object{"metadata": object{"name": injection}, "password": "12345678"}, 400, 130002, "metadata.name"},
				badInput{name + " of a secret", ann, "POST", "/v1/secrets", newSecret(injection), 400, 130002, "metadata.name"},
			)
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				got := tt.client.do(tt.method, tt.path, tt.body)
				assert.Equal(t, tt.status, got.status, got.text)
				assert.Equal(t, tt.code, got.code(), got.text)
				assert.Contains(t, got.body["message"], tt.message)
				assert.Regexp(t, `^[0-9a-f]{32}$`, got.body["requestID"])
				assert.Equal(t, got.body["requestID"], got.header.Get("X-Request-ID"))
				assert.Less(t, len(got.text), 400, "not everything that was sent")
				for _, internal := range []string{"gorm", "store:", "json:", "objectmeta", "SELECT", "INSERT", "ownerID", "SQLSTATE", ".go"} {
					assert.NotContains(t, got.text, internal)
				}
			})
		}
		assert.Equal(t, before, state(), "nothing has changed")
	})
}

// What a body says about fields that are the server's is ignored.
func TestMassAssignment(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann, bob := s.user("ann"), s.user("bob")
		victim := ann.must(http.StatusCreated, "POST", "/v1/secrets", newSecret("victim"))
		mine := object{
			"metadata": object{"instanceID": victim.id(), "name": "mine", "createdAt": "1999-01-01T00:00:00Z", "updatedAt": "1999-01-01T00:00:00Z"},
			"ownerID":  victim.body["ownerID"], "key": "a key that I know",
		}
		created := bob.must(http.StatusCreated, "POST", "/v1/secrets", mine)
		assert.NotEqual(t, victim.id(), created.id())
		assert.NotEqual(t, victim.body["ownerID"], created.body["ownerID"])
		assert.NotEqual(t, "a key that I know", created.body["key"])
		assert.NotContains(t, created.text, "1999")

		updated := bob.must(http.StatusOK, "PUT", "/v1/secrets/"+created.id(), mine)
		assert.Equal(t, created.id(), updated.id())
		assert.Equal(t, created.body["ownerID"], updated.body["ownerID"])
		assert.Equal(t, created.metadata("createdAt"), updated.metadata("createdAt"))
		assert.NotContains(t, updated.text, "1999")
		for _, secret := range s.feedSecrets() {
			assert.NotEqual(t, "a key that I know", string(secret.GetKey()))
		}
		items, _ := ann.list("/v1/secrets")
		assert.Equal(t, []string{"victim"}, names(items))

		user := s.admin.must(http.StatusCreated, "POST", "/v1/users", object{
			"metadata": object{"name": "carl", "instanceID": "user-aaaaaa"}, "password": "12345678", "policies": 99,
		})
		assert.NotEqual(t, "user-aaaaaa", user.id())
		assert.NotContains(t, user.body, "policies")
		assert.NotContains(t, user.body, "admin")
	})
}

// A browser sends text/plain to another site without asking first.
func TestContentType(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/login", strings.NewReader(`{}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "text/plain")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode)
}
