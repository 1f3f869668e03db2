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
	"github.com/gracekit/gracekit/jsonx"
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
	Any  map[string]any   `json:"any"`
	Raw  jsonx.RawMessage `json:"raw"`
	List []struct {
		A int `json:"a"`
	} `json:"list"`
}

func decode(t *testing.T, contentType, body string) (document, error) {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if contentType != "" {
		c.Request.Header.Set("Content-Type", contentType)
	}
	var d document
	err := request.JSON(c, 300, &d)
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

// What is allowed stays so: two cases of a name that is the client's own, and 100 levels.
func TestStrictIsNotStricter(t *testing.T) {
	for _, body := range []string{
		`{"any":{"b":1,"B":2,"name":3,"Name":4}}`, `{"any":{"b":` + strings.Repeat("[", 98) + strings.Repeat("]", 98) + `}}`, `null`,
	} {
		_, err := decode(t, "application/json", body)
		assert.NoError(t, err, body)
	}
}

func TestBadBodies(t *testing.T) {
	const json = "application/json"
	long := strings.Repeat("x", 400)
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
		{"too large", json, `{"name":"` + long + `"}`, response.ErrBodyTooLarge, "the body is larger than 300 bytes"},
		{"too large after the value", json, `{"name":"x"}` + strings.Repeat(" ", 400), response.ErrBodyTooLarge, "the body is larger than 300 bytes"},
		{"twice", json, `{"name":"x","name":"y"}`, response.ErrBadRequest, `the body: "name" comes twice`},
		{"twice in an object", json, `{"any":{"b":1,"b":1}}`, response.ErrBadRequest, `any: "b" comes twice`},
		{"twice in an array", json, `{"list":[{},{"a":1,"a":1}]}`, response.ErrBadRequest, `list[1]: "a" comes twice`},
		{"twice by an escape", json, `{"name":"x","n\u0061me":"y"}`, response.ErrBadRequest, `"name" comes twice`},
		{"another case", json, `{"Name":"x"}`, response.ErrBadRequest, `"Name" must be written "name"`},
		{"in two cases", json, `{"name":"x","NAME":"y"}`, response.ErrBadRequest, `"NAME" must be written "name"`},
		{"another case inside", json, `{"inner":{"Count":1}}`, response.ErrBadRequest, `inner: "Count" must be written "count"`},
		{"too deep", json, `{"any":{"b":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}}`, response.ErrBadRequest, "nested more than 100 deep"},
		{"no float64", json, `{"raw":{"b":1e999}}`, response.ErrBadRequest, "b: 1e999 is beyond the numbers"},
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
