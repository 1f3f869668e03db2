package apiserver_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
)

func TestUsers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		created := s.admin.must(http.StatusCreated, "POST", "/v1/users", object{
			"metadata": object{"name": "ann", "extend": object{"team": "blue", "n": 9007199254740993}},
			"email":    "ann@example.com", "password": "her password",
		})
		assert.Regexp(t, `^user-[0-9a-z]{6}$`, created.id())
		assert.NotContains(t, created.text, "her password")
		assert.NotContains(t, created.text, "assword", "neither the password nor its hash")
		assert.Contains(t, created.text, "9007199254740993")
		moment, err := time.Parse(time.RFC3339, created.metadata("createdAt"))
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now(), moment, time.Minute)

		ann := s.login("ann", "her password")
		got := ann.must(http.StatusOK, "GET", "/v1/users/ann", nil)
		assert.Equal(t, created.id(), got.id())
		assert.Equal(t, "ann@example.com", got.body["email"])

		// A client may send back what it got, with a change.
		got.body["email"] = "ann@example.org"
		updated := ann.must(http.StatusOK, "PUT", "/v1/users/ann", got.body)
		assert.Equal(t, "ann@example.org", updated.body["email"])
		assert.Equal(t, created.id(), updated.id())
		assert.Equal(t, "ann@example.org", ann.must(http.StatusOK, "GET", "/v1/users/ann", nil).body["email"])
		ann.must(http.StatusOK, "GET", "/v1/users/ann", nil) // the password is the old one, and the token valid

		s.admin.must(http.StatusConflict, "POST", "/v1/users", object{"metadata": object{"name": "ann"}, "password": "another one"})
		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users/ann", nil)
		s.admin.must(http.StatusNotFound, "GET", "/v1/users/ann", nil)
		s.admin.must(http.StatusNotFound, "DELETE", "/v1/users/ann", nil)
		assert.Equal(t, http.StatusUnauthorized, ann.do("GET", "/v1/users/ann", nil).status, "the token of a user who is gone")

		// Nor does it become valid for somebody new of the same name.
		s.user("ann")
		assert.Equal(t, http.StatusUnauthorized, ann.do("GET", "/v1/users/ann", nil).status)
	})
}

func TestListUsersWithTheirPolicies(t *testing.T) {
	for _, byGroup := range []bool{false, true} {
		t.Run(fmt.Sprint("by group ", byGroup), func(t *testing.T) { testListUsers(t, byGroup) })
	}
}

func testListUsers(t *testing.T, byGroup bool) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db, func(o *apiserver.Options) { o.CountByGroup = byGroup })
		const users = 9
		for i := range users {
			user := s.user(fmt.Sprintf("user-%d", i))
			for p := range (i * 5) % 4 {
				user.must(http.StatusCreated, "POST", "/v1/policies", newPolicy(fmt.Sprintf("p%d", p), "allow"))
			}
		}
		items, total := s.admin.list("/v1/users?offset=1&limit=100")
		assert.Equal(t, users+1, total)
		require.Len(t, items, users)
		for i, item := range items {
			assert.Equal(t, fmt.Sprintf("user-%d", i), item["metadata"].(object)["name"], "in order")
			assert.EqualValues(t, (i*5)%4, item["policies"], "of user %d", i)
		}
		items, _ = s.admin.list("/v1/users?offset=4&limit=2")
		assert.Equal(t, []string{"user-3", "user-4"}, names(items))

		// All users but the admins.
		s.admin.must(http.StatusCreated, "POST", "/v1/users", object{"metadata": object{"name": "root"}, "admin": true, "password": "password"})
		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users?all=true", nil)
		items, total = s.admin.list("/v1/users")
		assert.Equal(t, []string{"admin", "root"}, names(items))
		assert.Equal(t, 2, total)
		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users?all=true", nil)
	})
}

func TestSecrets(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann := s.user("ann")
		created := ann.must(http.StatusCreated, "POST", "/v1/secrets", object{"metadata": object{"name": "ci"}, "description": "für die CI 🔑"})
		assert.Regexp(t, `^secret-[0-9a-z]{6}$`, created.id())
		assert.Regexp(t, `^user-[0-9a-z]{6}$`, created.body["ownerID"])
		key, _ := created.body["key"].(string)
		assert.Len(t, key, 43, "256 bits in base64")

		// The key is shown once.
		path := "/v1/secrets/" + created.id()
		got := ann.must(http.StatusOK, "GET", path, nil)
		assert.Equal(t, "für die CI 🔑", got.body["description"])
		got.body["expires"] = 1900000000
		updated := ann.must(http.StatusOK, "PUT", path, got.body)
		assert.EqualValues(t, 1900000000, updated.body["expires"])
		assert.EqualValues(t, 1900000000, ann.must(http.StatusOK, "GET", path, nil).body["expires"])
		for _, later := range []answer{got, updated, ann.must(http.StatusOK, "GET", "/v1/secrets", nil)} {
			assert.NotContains(t, later.text, key)
			assert.NotContains(t, later.text, `"key"`)
		}

		ann.must(http.StatusConflict, "POST", "/v1/secrets", newSecret("ci"))
		ann.must(http.StatusNoContent, "DELETE", path, nil)
		ann.must(http.StatusNotFound, "GET", path, nil)
		ann.must(http.StatusNotFound, "DELETE", path, nil)
		assert.NotContains(t, s.log.String(), key)
	})
}

func TestPolicies(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann := s.user("ann")
		created := ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("read", "allow"))
		assert.Regexp(t, `^policy-[0-9a-z]{6}$`, created.id())
		path := "/v1/policies/" + created.id()
		got := ann.must(http.StatusOK, "GET", path, nil)
		assert.Equal(t, created.body, got.body)

		got.body["policy"].(object)["effect"] = "deny"
		updated := ann.must(http.StatusOK, "PUT", path, got.body)
		assert.Equal(t, "deny", updated.body["policy"].(object)["effect"])
		assert.Equal(t, updated.body, ann.must(http.StatusOK, "GET", path, nil).body)
		assert.Equal(t, created.metadata("createdAt"), updated.metadata("createdAt"))

		ann.must(http.StatusConflict, "POST", "/v1/policies", newPolicy("read", "allow"))
		ann.must(http.StatusNoContent, "DELETE", path, nil)
		ann.must(http.StatusNotFound, "PUT", path, newPolicy("", "allow"))
	})
}

func TestPagesAndDeleteCollection(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann, bob := s.user("ann"), s.user("bob")
		for _, resource := range []string{"secrets", "policies"} {
			path := "/v1/" + resource
			make := func(name string) object { return newSecret(name) }
			if resource == "policies" {
				make = func(name string) object { return newPolicy(name, "allow") }
			}
			items, total := ann.list(path)
			assert.Empty(t, items)
			assert.Zero(t, total)
			for i := range 25 {
				ann.must(http.StatusCreated, "POST", path, make(fmt.Sprintf("n%02d", i)))
			}
			bob.must(http.StatusCreated, "POST", path, make("n00")) // a name is its owner's

			items, total = ann.list(path)
			assert.Len(t, items, 20, "unless more are asked for")
			assert.Equal(t, 25, total)
			items, total = ann.list(path + "?offset=22&limit=2")
			assert.Equal(t, []string{"n22", "n23"}, names(items))
			assert.Equal(t, 25, total)
			items, _ = ann.list(path + "?offset=24&limit=1000000")
			assert.Equal(t, []string{"n24"}, names(items))
			items, total = ann.list(path + "?limit=0")
			assert.Len(t, items, 20, "as if it were not there")
			assert.Equal(t, 25, total)
			items, total = ann.list(path + "?offset=1000")
			assert.Empty(t, items)
			assert.Equal(t, 25, total)

			ann.must(http.StatusNoContent, "DELETE", path+"?all=true", nil)
			items, _ = ann.list(path)
			assert.Empty(t, items)
			ann.must(http.StatusNoContent, "DELETE", path+"?all=true", nil) // nothing is left, and that is what was asked for
			items, _ = bob.list(path)
			assert.Len(t, items, 1, "bob's are bob's")
		}
	})
}
