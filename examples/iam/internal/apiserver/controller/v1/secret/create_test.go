package secret_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller/v1/secret"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// A controller is tested with the services on a database in memory, an engine, and no server.
func TestCreate(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	db, err := store.Open(t.Context(), "memory", []byte("for tests"))
	require.NoError(t, err)
	defer db.Close()
	log := slog.New(slog.DiscardHandler)
	services := service.New(service.Config{
		Store: db, Publisher: nobody{}, Log: log, LoginKey: []byte("key"), LoginTTL: time.Hour, BcryptCost: bcrypt.MinCost,
	})
	_, err = services.Users.EnsureAdmin(t.Context(), "password")
	require.NoError(t, err)
	token, _, err := services.Users.Login(t.Context(), "", service.AdminName, "password")
	require.NoError(t, err)

	codes, err := response.NewCodes(service.Errors()...)
	require.NoError(t, err)
	w := response.NewWriter(codes, log)
	engine := gin.New()
	engine.POST("/", controller.Authenticate(w, services.Users),
		controller.Handle(w, http.StatusCreated, secret.Controller{Service: services.Secrets}.Create))

	for _, tt := range []struct {
		name, token, body string
		status            int
		answer            string // a part of it
	}{
		{"good", token, `{"metadata":{"name":"ci"}}`, http.StatusCreated, `"key":"`},
		{"again", token, `{"metadata":{"name":"ci"}}`, http.StatusConflict, `"code":130202`},
		{"a key of one's own", token, `{"metadata":{"name":"mine"},"key":"known"}`, http.StatusCreated, `"ownerID":"user-`},
		{"a key by another way", token, `{"metadata":{"name":"x"},"signingKey":"known"}`, http.StatusBadRequest, "unknown field"},
		{"nobody", "", `{"metadata":{"name":"x"}}`, http.StatusUnauthorized, `"code":100008`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", "application/json")
			if tt.token != "" {
				r.Header.Set("Authorization", "Bearer "+tt.token)
			}
			got := httptest.NewRecorder()
			engine.ServeHTTP(got, r)
			assert.Equal(t, tt.status, got.Code, got.Body)
			assert.Contains(t, got.Body.String(), tt.answer)
			assert.NotContains(t, got.Body.String(), "known\"")
		})
	}
}

type nobody struct{}

func (nobody) Publish(context.Context, notify.Event, uint64) error { return nil }
