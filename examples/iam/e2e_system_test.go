//go:build unix

package main_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type object = map[string]any

// A system is an apiserver and two authzservers, each a process of its own at an address that stays
// the same, and a user, ann.
type system struct {
	t      *testing.T
	bin    string // where the programs are
	dir    string // for files
	db     string
	redis  redisServer
	client *http.Client

	apiAddr, feedAddr string
	api               *process
	authzAddr         [2]string
	authz             [2]*process
	all               []*process // that have ever run

	apiFlags, authzFlags []string  // more of them, which count more
	feedOf               [2]string // of each authzserver, if it is not feedAddr

	login    string // ann's token for the apiserver
	secretID string
	question string // ann's token for the authzservers
}

// startSystem returns when all of it is ready, and ann has a secret. It takes four addresses.
func startSystem(t *testing.T, bin, db string, redis redisServer, addrs []string, configure ...func(*system)) *system {
	s := &system{t: t, bin: bin, dir: t.TempDir(), db: db, redis: redis, apiAddr: addrs[0], feedAddr: addrs[1], authzAddr: [2]string(addrs[2:])}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	t.Cleanup(s.client.CloseIdleConnections)
	for _, c := range configure {
		c(s)
	}
	for name, content := range map[string]string{
		"feed.token": "the token of the feed", "login.key": strings.Repeat("the key of the logins ", 2), "admin.password": "the password of admin",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(content+"\n"), 0o600))
	}
	for i := range s.authz { // these first: they wait for the apiserver
		s.startAuthz(i)
	}
	s.startAPI()
	admin := s.logIn("admin", "the password of admin")
	s.must(admin, http.StatusCreated, "POST", "/v1/users", object{"metadata": object{"name": "ann"}, "password": "the password of ann"})
	s.login = s.logIn("ann", "the password of ann")
	secret := s.must(s.login, http.StatusCreated, "POST", "/v1/secrets", object{"metadata": object{"name": "e2e"}})
	s.secretID = secret["metadata"].(object)["instanceID"].(string)
	s.question = sign(t, s.secretID, secret["key"].(string))
	for i := range s.authz {
		s.authz[i].waitFor("msg=ready ")
	}
	return s
}

// delay is how long a server that is to stop goes on, for its clients to leave. On a busy machine
// they may come to that late.
const delay = "2s"

func (s *system) startAPI() {
	s.api = startProcess(s.t, "apiserver", filepath.Join(s.bin, "apiserver"), append([]string{"-addr", s.apiAddr, "-feed", s.feedAddr, "-db", s.db,
		"-redis", s.redis.addr(), "-feed-token-file", filepath.Join(s.dir, "feed.token"), "-login-key-file", filepath.Join(s.dir, "login.key"),
		"-admin-password-file", filepath.Join(s.dir, "admin.password"), "-bcrypt-cost", "4", "-logins-per-second", "1000", "-delay", delay}, s.apiFlags...)...)
	s.all = append(s.all, s.api)
	s.api.waitFor("msg=ready ")
}

// startAuthz does not wait until it is ready. It does not ask without news, which could hide that a
// message was lost.
func (s *system) startAuthz(i int, flags ...string) {
	s.authz[i] = startProcess(s.t, fmt.Sprint("authzserver ", i), filepath.Join(s.bin, "authzserver"), append([]string{"-addr", s.authzAddr[i],
		"-feed", cmp.Or(s.feedOf[i], s.feedAddr), "-redis", s.redis.addr(), "-feed-token-file", filepath.Join(s.dir, "feed.token"), "-poll", "1h", "-max-stale", "0", "-decisions", "", "-delay", delay}, append(s.authzFlags, flags...)...)...)
	s.all = append(s.all, s.authz[i])
}

func sign(t *testing.T, secretID, key string) string {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": "iam.authz", "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"] = secretID
	signed, err := token.SignedString([]byte(key))
	require.NoError(t, err)
	return signed
}

// do makes one request. The client is not able to send it a second time by itself, so that a
// failure is seen.
func (s *system) do(method, url, token string, body any) (*http.Response, []byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, answer, err
}

// must asks the apiserver.
func (s *system) must(token string, status int, method, path string, body any) object {
	s.t.Helper()
	resp, data, err := s.do(method, "http://"+s.apiAddr+path, token, body)
	require.NoError(s.t, err)
	require.Equal(s.t, status, resp.StatusCode, "%s %s: %s", method, path, data)
	answer := object{}
	if len(data) > 0 {
		require.NoError(s.t, json.Unmarshal(data, &answer))
	}
	return answer
}

func (s *system) logIn(name, password string) string {
	s.t.Helper()
	return s.must("", http.StatusOK, "POST", "/login", object{"name": name, "password": password})["token"].(string)
}

// allow has ann create a policy with which anybody may read the resource, and returns its ID.
func (s *system) allow(resource string) (id string) {
	s.t.Helper()
	id, err := s.create(resource)
	require.NoError(s.t, err)
	return id
}

func (s *system) create(resource string) (id string, err error) {
	_, id, err = s.post(s.apiAddr, strings.ReplaceAll(resource, ":", "."), resource)
	return id, err
}

func (s *system) post(addr, name, resource string) (resp *http.Response, id string, err error) {
	resp, data, err := s.do("POST", "http://"+addr+"/v1/policies", s.login, object{"metadata": object{"name": name}, "policy": policyFor(resource)})
	if err != nil {
		return nil, "", err
	}
	var created struct {
		Metadata struct{ InstanceID string }
	}
	if err := json.Unmarshal(data, &created); err != nil || resp.StatusCode != http.StatusCreated {
		return resp, "", fmt.Errorf("%s: %s", resp.Status, data)
	}
	return resp, created.Metadata.InstanceID, nil
}

func policyFor(resource string) object {
	return object{"effect": "allow", "subjects": []string{"*"}, "actions": []string{"read"}, "resources": []string{resource}}
}

func (s *system) deletePolicy(id string) {
	s.t.Helper()
	s.must(s.login, http.StatusNoContent, "DELETE", "/v1/policies/"+id, nil)
}

// ask asks an authzserver whether the resource may be read.
func (s *system) ask(i int, resource string) (allowed bool, err error) {
	resp, data, err := s.do("POST", "http://"+s.authzAddr[i]+"/v1/authz", s.question, object{"subject": "users:ben", "action": "read", "resource": resource})
	if err != nil {
		return false, err
	}
	var answer struct{ Allowed *bool }
	if err := json.Unmarshal(data, &answer); err != nil || resp.StatusCode != http.StatusOK || answer.Allowed == nil {
		return false, fmt.Errorf("%s: %s", resp.Status, data)
	}
	return *answer.Allowed, nil
}

// eventually waits until both authzservers say so.
func (s *system) eventually(allowed bool, resource string) {
	s.t.Helper()
	for i := range s.authz {
		require.Eventually(s.t, func() bool {
			got, err := s.ask(i, resource)
			return err == nil && got == allowed
		}, soon, 5*time.Millisecond, "authzserver %d, %s: allowed is %v", i, resource, allowed)
	}
}

// now has both say so at once.
func (s *system) now(allowed bool, resource string) {
	s.t.Helper()
	for i := range s.authz {
		got, err := s.ask(i, resource)
		assert.NoError(s.t, err)
		assert.Equal(s.t, allowed, got, "authzserver %d, %s", i, resource)
	}
}

func (s *system) ready(addr string) bool {
	resp, err := s.client.Get("http://" + addr + "/readyz")
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
