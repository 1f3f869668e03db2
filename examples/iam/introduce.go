package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/jsonx"
)

// introduce prints where everything is, and four commands that can be pasted. For these a new
// database gets a secret and a policy of admin, the way any client would make them: over HTTP.
func introduce(ctx context.Context, w io.Writer, at addresses, password string, firstStart bool) error {
	var text strings.Builder
	fmt.Fprintf(&text, "\napiserver     http://%s\n", at.api)
	for _, addr := range at.authz {
		fmt.Fprintf(&text, "authzserver   http://%s\n", addr)
	}
	if firstStart {
		defer http.DefaultClient.CloseIdleConnections() // which a stop would wait for
		d, err := makeDemo(ctx, "http://"+at.api, password)
		if err == nil {
			err = d.waitUntilAllowed(ctx, at.authz)
		}
		if ctx.Err() != nil {
			return nil // the end was asked for before there was anything to say
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, `
The user admin has been created, with the password %s. This is shown once. Try:

curl --json '{"name":"admin","password":"%s"}' http://%s/login
curl -H 'Authorization: Bearer %s' http://%s/v1/policies
curl -H 'Authorization: Bearer %s' --json '%s' http://%s/v1/authz

Delete the policy, and the last command answers false:

curl -X DELETE -H 'Authorization: Bearer %[4]s' http://%[5]s/v1/policies/%[9]s
`, password, password, at.api, d.login, at.api, d.signed, demoQuestion, at.authz[0], d.policy)
	} else {
		fmt.Fprintf(&text, "\nThe database is not new: log in with the password that was shown at its first start.\n\n"+
			"curl --json '{\"name\":\"admin\",\"password\":\"…\"}' http://%s/login\n", at.api)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

const demoQuestion = `{"subject":"users:maria","action":"read","resource":"articles:42"}`

// A demo is what a client has when it has done everything once.
type demo struct {
	login  string // the token for the apiserver
	policy string // the policy's ID
	signed string // a token for the authzservers, signed with the secret
}

func makeDemo(ctx context.Context, api, password string) (d demo, err error) {
	var login struct {
		Token string `json:"token"`
	}
	if err := post(ctx, api+"/login", "", `{"name":"admin","password":"`+password+`"}`, http.StatusOK, &login); err != nil {
		return d, err
	}
	type object struct {
		Metadata struct {
			InstanceID string `json:"instanceID"`
		} `json:"metadata"`
		Key string `json:"key"`
	}
	var secret, policy object
	err = post(ctx, api+"/v1/secrets", login.Token, `{"metadata":{"name":"demo"}}`, http.StatusCreated, &secret)
	if err != nil {
		return d, err
	}
	err = post(ctx, api+"/v1/policies", login.Token, `{"metadata":{"name":"demo"},"policy":{
		"description":"everyone may read the articles", "effect":"allow", "subjects":["users:*"], "actions":["read"], "resources":["articles:*"]}}`,
		http.StatusCreated, &policy)
	if err != nil {
		return d, err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Audience:  jwt.ClaimStrings{"iam.authz"},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	})
	token.Header["kid"] = secret.Metadata.InstanceID
	signed, err := token.SignedString([]byte(secret.Key))
	return demo{login: login.Token, policy: policy.Metadata.InstanceID, signed: signed}, err
}

// waitUntilAllowed returns when all authzservers have heard of the secret and the policy.
func (d demo) waitUntilAllowed(ctx context.Context, authz []string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, addr := range authz {
		err := health.Wait(ctx, func(ctx context.Context) error {
			var answer struct {
				Allowed bool `json:"allowed"`
			}
			err := post(ctx, "http://"+addr+"/v1/authz", d.signed, demoQuestion, http.StatusOK, &answer)
			if err == nil && !answer.Allowed {
				err = fmt.Errorf("the demo's policy is not in force yet")
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func post(ctx context.Context, url, token, body string, want int, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("POST %s: %s: %.200s", url, resp.Status, text.String())
	}
	return jsonx.Unmarshal(text.Bytes(), answer)
}
