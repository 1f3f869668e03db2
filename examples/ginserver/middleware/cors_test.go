package middleware_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
)

func TestHeaders(t *testing.T) {
	s := newService(t)
	s.Use(middleware.Secure(), middleware.NoCache())
	s.GET("/", ok)
	for _, path := range []string{"/", "/nothing"} {
		header := s.get(t, path).Header()
		assert.Equal(t, "no-store", header.Get("Cache-Control"))
		assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		assert.Equal(t, "DENY", header.Get("X-Frame-Options"))
		assert.Equal(t, "default-src 'none'; frame-ancestors 'none'", header.Get("Content-Security-Policy"))
		assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"))
	}
}

func TestCORS(t *testing.T) {
	config := middleware.CORSConfig{
		Origins: []string{"https://app.example.com"}, Methods: []string{"GET", "POST"}, Headers: []string{"Authorization"},
		Credentials: true, MaxAge: time.Hour,
	}
	s := newService(t)
	handler, err := middleware.CORS(config, s.write)
	require.NoError(t, err)
	s.Use(handler)
	s.GET("/notes", ok)

	got := s.get(t, "/notes")
	assert.Equal(t, 200, got.Code)
	assert.Equal(t, "Origin", got.Header().Get("Vary"), "a cache must not give this answer to a page")
	assert.Empty(t, got.Header().Get("Access-Control-Allow-Origin"))

	got = s.get(t, "/notes", "Origin: https://app.example.com")
	assert.Equal(t, "ok", got.Body.String())
	assert.Equal(t, "https://app.example.com", got.Header().Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "true", got.Header().Get("Access-Control-Allow-Credentials"))
	assert.Equal(t, "X-Request-Id,Retry-After", got.Header().Get("Access-Control-Expose-Headers"))

	got = s.do(t, "OPTIONS", "/notes", "", "Origin: https://app.example.com", "Access-Control-Request-Method: POST")
	assert.Equal(t, 204, got.Code)
	assert.Equal(t, "GET,POST", got.Header().Get("Access-Control-Allow-Methods"))
	assert.Equal(t, "3600", got.Header().Get("Access-Control-Max-Age"))
	assert.Empty(t, got.Body.String())

	for _, origin := range []string{"https://evil.example", "https://app.example.com.evil.example", "null", "http://app.example.com"} {
		got = s.get(t, "/notes", "Origin: "+origin, "X-Request-ID: x")
		assert.Equal(t, 403, got.Code, origin)
		assert.JSONEq(t, `{"code":100009,"message":"pages of \"`+origin+`\" may not use this","requestID":"x"}`, got.Body.String())
		assert.Empty(t, got.Header().Get("Access-Control-Allow-Origin"))
	}
}

func TestCORSForEverybody(t *testing.T) {
	s := newService(t)
	handler, err := middleware.CORS(middleware.CORSConfig{Origins: []string{"*"}}, s.write)
	require.NoError(t, err)
	s.Use(handler)
	s.GET("/", ok)
	got := s.get(t, "/", "Origin: https://anybody.example")
	assert.Equal(t, 200, got.Code)
	assert.Equal(t, "*", got.Header().Get("Access-Control-Allow-Origin"))
}

func TestBadCORSConfigs(t *testing.T) {
	const form = ": must be as browsers send it, a scheme, a host, and a port if it is not the usual one, " +
		"such as https://app.example.com or http://localhost:3000"
	good := []string{"https://a.example"}
	tests := []struct {
		name   string
		config middleware.CORSConfig
		want   string
	}{
		{"no origins", middleware.CORSConfig{}, `origins is empty: name those of your pages, such as https://app.example.com, or "*"`},
		{"all and one", middleware.CORSConfig{Origins: []string{"*", "https://a.example"}}, `origins is ["*" "https://a.example"]: "*" must stand alone`},
		{"all with cookies", middleware.CORSConfig{Origins: []string{"*"}, Credentials: true},
			`origins is "*" and credentials is true: browsers refuse that, name the origins`},
		{"no scheme", middleware.CORSConfig{Origins: []string{"a.example"}}, `origin "a.example"` + form},
		{"a path", middleware.CORSConfig{Origins: []string{"https://a.example/"}}, `origin "https://a.example/"` + form},
		{"a pattern", middleware.CORSConfig{Origins: []string{"/^https://.*/"}}, `origin "/^https://.*/"` + form},
		{"a pattern of hosts", middleware.CORSConfig{Origins: []string{"https://*.a.example"}}, `origin "https://*.a.example"` + form},
		{"the usual port", middleware.CORSConfig{Origins: []string{"https://a.example:443"}}, `origin "https://a.example:443"` + form},
		{"no host", middleware.CORSConfig{Origins: []string{"http://:3000"}}, `origin "http://:3000"` + form},
		{"a method for everybody", middleware.CORSConfig{Origins: []string{"*"}, Methods: []string{"get"}},
			`method "get": must be GET, HEAD, POST, PUT, PATCH or DELETE`},
		{"null", middleware.CORSConfig{Origins: []string{"null"}}, `origin "null"` + form},
		{"a method", middleware.CORSConfig{Origins: good, Methods: []string{"get"}}, `method "get": must be GET, HEAD, POST, PUT, PATCH or DELETE`},
		{"an age", middleware.CORSConfig{Origins: good, MaxAge: -1}, `maxAge is -1ns, must not be negative`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := middleware.CORS(tt.config, nil)
			assert.EqualError(t, err, tt.want)
		})
	}
}
