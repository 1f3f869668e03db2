package authzserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/metrics"
	"github.com/gracekit/gracekit/examples/ginserver/middleware"
	"github.com/gracekit/gracekit/examples/ginserver/request"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/policy"
	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/reqid"
)

const (
	requestTimeout = 5 * time.Second
	maxBody        = 16 << 10 // bytes: three short strings
	maxPart        = 1024     // bytes of a subject, an action or a resource
)

// newHandler serves POST /v1/authz, GET /cachez, and the health endpoints.
func newHandler(authz *authorizer, checks *health.Registry, measured *metrics.Metrics, log *slog.Logger) (http.Handler, error) {
	codes, err := response.NewCodes(Errors()...)
	if err != nil {
		return nil, err
	}
	authz.answer = response.NewWriter(codes, log)
	engine, err := middleware.NewEngine(authz.answer, requestTimeout, nil)
	if err != nil {
		return nil, err
	}
	engine.Use(middleware.RequestID(), measured.Middleware(), middleware.AccessLog(log), middleware.Recovery(authz.answer))
	engine.POST("/v1/authz", authz.authorize)
	engine.GET("/cachez", func(c *gin.Context) { authz.answer.Write(c, nil, describe(authz.cache)) })

	mux := http.NewServeMux()
	mountChecks(mux, checks) // outside of the engine: probes are not worth a log record
	mux.Handle("/", engine)
	return mux, nil
}

// An authorizer answers the question that this server is for.
type authorizer struct {
	cache     *cache
	maxStale  time.Duration // after which everything is denied; 0 is never
	tokens    *verifier
	decisions *recorder
	answer    *response.Writer
}

// authorize asks the policies of whoever owns the secret that signed the token.
func (a *authorizer) authorize(c *gin.Context) {
	if !a.cache.loaded() {
		a.answer.Write(c, response.ErrUnavailable, nil)
		return
	}
	var signed secret
	var policies *policy.Owned // as they were together with the secret
	id, err := a.tokens.verify(c.GetHeader("Authorization"), func(id string) (secret, bool) {
		var found bool
		signed, policies, found = a.cache.lookup(id)
		return signed, found
	})
	if err != nil {
		c.Header("WWW-Authenticate", "Bearer")
		a.answer.Write(c, err, nil)
		return
	}
	ctx := c.Request.Context()
	reqid.SetUser(ctx, signed.owner)
	r, err := readRequest(c)
	if err != nil {
		a.answer.Write(c, err, nil)
		return
	}
	decision, err := a.decide(ctx, policies, r)
	if err == nil {
		a.decisions.add(newRecord(reqid.FromContext(ctx), id, signed.owner, r, decision))
	}
	a.answer.Write(c, err, decision)
}

func (a *authorizer) decide(ctx context.Context, policies *policy.Owned, r policy.Request) (policy.Decision, error) {
	if a.maxStale > 0 && a.cache.age() > a.maxStale {
		return policy.Decision{Reason: "this server has not heard from an apiserver for longer than it may"}, nil
	}
	decision, err := policies.Decide(ctx, r)
	if errors.Is(err, policy.ErrBusy) {
		err = fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return decision, err
}

func readRequest(c *gin.Context) (policy.Request, error) {
	var body struct {
		Subject  string `json:"subject"`
		Action   string `json:"action"`
		Resource string `json:"resource"`
	}
	if err := request.JSON(c, maxBody, &body); err != nil {
		return policy.Request{}, err
	}
	for _, part := range []struct{ name, value string }{{"subject", body.Subject}, {"action", body.Action}, {"resource", body.Resource}} {
		if part.value == "" || len(part.value) > maxPart {
			return policy.Request{}, response.ErrBadRequest.Detail("%s has %d bytes, want 1 to %d", part.name, len(part.value), maxPart)
		}
	}
	return policy.Request(body), nil
}

// describe tells an operator whether two servers hold the same.
func describe(cache *cache) map[string]any {
	held := cache.held()
	secrets, policies := cache.counts()
	return map[string]any{
		"revision": fmt.Sprintf("%d-%x", held.number, held.stamp), "secrets": secrets, "policies": policies,
		"age": fmt.Sprint(cache.age().Round(time.Millisecond)),
	}
}
