package apiserver_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/dbtest"
)

func TestSelections(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann := s.user("ann")
		for _, name := range []string{"bob", "carl", "dora", "Carl"} {
			s.user(name)
		}
		s.admin.must(http.StatusOK, "PUT", "/v1/users/dora", object{"email": "dora@example.com", "admin": true})
		selected := func(selector string) []string {
			items, total := s.admin.list("/v1/users?fieldSelector=" + selector)
			assert.Len(t, items, total)
			return names(items)
		}
		assert.Equal(t, []string{"carl"}, selected("name=carl"))
		assert.Equal(t, []string{"dora"}, selected("email=dora@example.com,admin=true"))
		assert.Empty(t, selected("name=carl,admin=true"))

		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users?name=carl&name=nobody", nil)
		assert.Equal(t, []string{"ann", "bob", "Carl"}, selected("admin=false"), "and nobody else is gone")
		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users?fieldSelector=name=Carl", nil)
		s.admin.must(http.StatusNoContent, "DELETE", "/v1/users?name=dora", nil)
		assert.Equal(t, []string{"admin", "dora"}, selected("admin=true"), "admins go one by one")

		for _, name := range []string{"one", "two", "three"} {
			ann.must(http.StatusCreated, "POST", "/v1/secrets", newSecret(name))
			ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy(name, "allow"))
		}
		for _, path := range []string{"/v1/secrets", "/v1/policies"} {
			ann.must(http.StatusNoContent, "DELETE", path+"?name=one", nil)
			items, _ := ann.list(path)
			assert.Equal(t, []string{"two", "three"}, names(items))

			// An admin looks at those of others, and revokes them; nothing else.
			items, _ = s.admin.list(path + "?fieldSelector=owner=ann,name=two")
			assert.Equal(t, []string{"two"}, names(items))
			two := path + "/" + items[0]["metadata"].(object)["instanceID"].(string)
			s.admin.must(http.StatusOK, "GET", two, nil)
			s.admin.must(http.StatusNoContent, "DELETE", two, nil)
			ann.must(http.StatusNotFound, "GET", two, nil)
			s.admin.must(http.StatusNoContent, "DELETE", path+"?all=true", nil)
			_, total := ann.list(path)
			assert.Equal(t, 1, total, "all are all of one's own")
			s.admin.must(http.StatusNoContent, "DELETE", path+"?fieldSelector=owner=ann", nil)
			_, total = ann.list(path)
			assert.Zero(t, total)
		}
	})
}

func TestPagesByKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db)
		ann := s.user("ann")
		var ids []string
		for i := range 7 {
			ids = append(ids, ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy(fmt.Sprint("p", i), "allow")).id())
		}
		s.admin.must(http.StatusCreated, "POST", "/v1/policies", newPolicy("another", "allow"))
		var pages [][]string
		for next := ""; ; {
			page := ann.must(http.StatusOK, "GET", "/v2/policies?limit=3&after="+next, nil)
			var got []string
			for _, item := range page.body["items"].([]any) {
				got = append(got, item.(object)["metadata"].(object)["instanceID"].(string))
			}
			pages = append(pages, got)
			assert.NotContains(t, page.body, "totalCount")
			next, _ = page.body["next"].(string)
			if next == "" {
				break
			}
			if len(pages) == 1 { // what goes in between shifts nothing
				ann.must(http.StatusNoContent, "DELETE", "/v1/policies/"+ids[0], nil)
			}
		}
		assert.Equal(t, [][]string{ids[:3], ids[3:6], ids[6:]}, pages)
	})
}

func TestQuotas(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db string) {
		s := start(t, db, func(o *apiserver.Options) { o.MaxSecrets, o.MaxPolicies, o.MaxPolicyLength = 2, 3, 2000 })
		ann, bob := s.user("ann"), s.user("bob")
		for i := range 2 {
			ann.must(http.StatusCreated, "POST", "/v1/secrets", newSecret(fmt.Sprint("s", i)))
		}
		third := ann.do("POST", "/v1/secrets", newSecret("s3"))
		assert.Equal(t, http.StatusForbidden, third.status)
		assert.Equal(t, 130203, third.code())
		bob.must(http.StatusCreated, "POST", "/v1/secrets", newSecret("s")) // his are his
		ann.must(http.StatusNoContent, "DELETE", "/v1/secrets?name=s0", nil)
		ann.must(http.StatusCreated, "POST", "/v1/secrets", newSecret("s3"))

		long := newPolicy("long", "allow")
		long["policy"].(object)["description"] = fmt.Sprintf("%01000d", 0)
		path := "/v1/policies/" + ann.must(http.StatusCreated, "POST", "/v1/policies", long).id()
		long["metadata"] = object{"name": "longer"}
		assert.Equal(t, 130304, ann.do("POST", "/v1/policies", long).code())
		for i := range 2 {
			ann.must(http.StatusCreated, "POST", "/v1/policies", newPolicy(fmt.Sprint("p", i), "allow"))
		}
		assert.Equal(t, 130304, ann.do("POST", "/v1/policies", newPolicy("p3", "allow")).code())
		delete(long, "metadata")
		long["policy"].(object)["subjects"] = []string{fmt.Sprintf("%0200d", 0), fmt.Sprintf("%0200d", 1), fmt.Sprintf("%0200d", 2), fmt.Sprintf("%0200d", 3)}
		assert.Equal(t, 130304, ann.do("PUT", path, long).code(), "an update has the same bound")
		ann.must(http.StatusOK, "PUT", path, newPolicy("", "deny"))
	})
}

// A client that changes one field does not change others by leaving them out, if that would give
// rights.
func TestExpiresStays(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	ann := s.user("ann")
	created := ann.must(http.StatusCreated, "POST", "/v1/secrets", object{"metadata": object{"name": "ci"}, "expires": 1900000000})
	path := "/v1/secrets/" + created.id()
	assert.EqualValues(t, 1900000000, ann.must(http.StatusOK, "PUT", path, object{"description": "x"}).body["expires"])
	assert.NotContains(t, ann.must(http.StatusOK, "PUT", path, object{"expires": 0}).body, "expires", "never, if it is said")
}
