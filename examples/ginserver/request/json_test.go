package request_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/request"
	"github.com/gracekit/gracekit/examples/ginserver/response"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

type document struct {
	Name  string `json:"name"`
	Inner struct {
		Count int8 `json:"count"`
	} `json:"inner"`
}

func decode(t *testing.T, contentType, body string) (document, error) {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if contentType != "" {
		c.Request.Header.Set("Content-Type", contentType)
	}
	var d document
	err := request.JSON(c, 64, &d)
	return d, err
}

func TestJSON(t *testing.T) {
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
		d, err := decode(t, contentType, ` {"name":"x","inner":{"count":3}}`+"\n")
		require.NoError(t, err)
		assert.Equal(t, "x", d.Name)
		assert.Equal(t, int8(3), d.Inner.Count)
	}
}

func TestBadBodies(t *testing.T) {
	const json = "application/json"
	long := strings.Repeat("x", 200)
	tests := []struct {
		name, contentType, body string
		is                      response.Error
		message                 string // a part of it
	}{
		{"empty", json, "", response.ErrBadRequest, "the body is empty, must be JSON"},
		{"blank", json, " \n", response.ErrBadRequest, "the body is empty, must be JSON"},
		{"not JSON", json, "{x", response.ErrBadRequest, "the body is not JSON, at byte "},
		{"cut off", json, `{"name":"x`, response.ErrBadRequest, "the body ends in the middle of its JSON"},
		{"unknown field", json, `{"nane":"x"}`, response.ErrBadRequest, `unknown field "nane"`},
		{"wrong type", json, `{"name":5}`, response.ErrBadRequest, "name: a JSON number does not fit here"},
		{"too large a number", json, `{"inner":{"count":300}}`, response.ErrBadRequest, "inner.count: a JSON number"},
		{"not an object", json, `[1]`, response.ErrBadRequest, "the body: a JSON array does not fit here"},
		{"two values", json, `{"name":"x"} {"name":"y"}`, response.ErrBadRequest, "the body has more than one JSON value"},
		{"something after it", json, `{"name":"x"} }`, response.ErrBadRequest, "the body is not JSON, at byte "},
		{"too large", json, `{"name":"` + long + `"}`, response.ErrBodyTooLarge, "the body is larger than 64 bytes"},
		{"too large after the value", json, `{"name":"x"}` + strings.Repeat(" ", 200), response.ErrBodyTooLarge, "the body is larger than 64 bytes"},
		{"no type", "", `{}`, response.ErrMediaType, `Content-Type is "", must be application/json`},
		{"a form", "application/x-www-form-urlencoded", `{}`, response.ErrMediaType, `Content-Type is "application/x-www-form-urlencoded", must be`},
		{"not a type", ";;", `{}`, response.ErrMediaType, `Content-Type is ";;", must be application/json`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(t, tt.contentType, tt.body)
			require.ErrorIs(t, err, tt.is)
			var public response.Error
			require.ErrorAs(t, err, &public)
			assert.Contains(t, public.Message, tt.message)
			assert.Less(t, len(public.Message), 200)
		})
	}
}

// The server's ReadTimeout ends a body that does not go on.
func TestSlowBody(t *testing.T) {
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	late := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	c.Request = httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(`{"name":`), iotest.ErrReader(late)))
	c.Request.Header.Set("Content-Type", "application/json")
	assert.ErrorIs(t, request.JSON(c, 64, new(document)), response.ErrBodyTooSlow)
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"name":"x"}`, `{"inner":{"count":1e3}}`, "[", `{"name":"\ud800"}`, "{}{}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := decode(t, "application/json", body); err != nil {
			var public response.Error
			require.ErrorAs(t, err, &public)
			assert.Less(t, len(public.Message), 800)
		}
	})
}
