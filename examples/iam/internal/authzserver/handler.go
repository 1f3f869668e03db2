package authzserver

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

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
func newHandler(cache *cache, checks *health.Registry, log *slog.Logger) (http.Handler, error) {
	codes, err := response.NewCodes(Errors()...)
	if err != nil {
		return nil, err
	}
	answer := response.NewWriter(codes, log)
	engine, err := middleware.NewEngine(answer, requestTimeout, nil)
	if err != nil {
		return nil, err
	}
	engine.Use(middleware.AccessLog(log), middleware.Recovery(answer))
	authz := &authorizer{cache: cache, tokens: newVerifier(), answer: answer}
	engine.POST("/v1/authz", authz.authorize)
	engine.GET("/cachez", func(c *gin.Context) { answer.Write(c, nil, describe(cache)) })

	mux := http.NewServeMux()
	mountChecks(mux, checks) // outside of the engine: probes are not worth a log record
	mux.Handle("/", engine)
	return mux, nil
}

// An authorizer answers the question that this server is for.
type authorizer struct {
	cache  *cache
	tokens *verifier
	answer *response.Writer
}

// authorize asks the policies of whoever owns the secret that signed the token.
func (a *authorizer) authorize(c *gin.Context) {
	secrets, policies := a.cache.secrets.load(), a.cache.policies.load()
	if secrets == nil || policies == nil {
		a.answer.Write(c, response.ErrUnavailable, nil)
		return
	}
	owner, err := a.tokens.verify(c.GetHeader("Authorization"), secrets.data)
	if err != nil {
		c.Header("WWW-Authenticate", "Bearer")
		a.answer.Write(c, err, nil)
		return
	}
	reqid.SetUser(c.Request.Context(), owner)
	r, err := readRequest(c)
	if err != nil {
		a.answer.Write(c, err, nil)
		return
	}
	decision, err := policies.data.Decide(c.Request.Context(), owner, r)
	a.answer.Write(c, err, decision)
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
	return map[string]any{"secrets": describeSlot(&cache.secrets), "policies": describeSlot(&cache.policies)}
}

func describeSlot[T any](s *slot[T]) any {
	held := s.load()
	if held == nil {
		return nil
	}
	return map[string]any{"version": held.version, "count": held.count, "age": fmt.Sprint(time.Since(held.at).Round(time.Millisecond))}
}
