package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	ginjson "github.com/gin-gonic/gin/codec/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/jsonx"
)

// What only the corrected engine does, whatever the build tag: gin's own would differ with
// jsoniter.
func TestGinBindsAndRendersWithJSONX(t *testing.T) {
	before := ginjson.API
	t.Cleanup(func() { ginjson.API = before })
	ginjson.API = ginCodec{}

	var body struct {
		N int32 `json:"n"`
	}
	bind := func(text string) error {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		reader := strings.NewReader(text)
		c.Request = httptest.NewRequestWithContext(t.Context(), "POST", "/", reader)
		return c.ShouldBindJSON(&body)
	}
	require.NoError(t, bind(`{"n":7}`))
	assert.Equal(t, int32(7), body.N)
	var typeErr *jsonx.UnmarshalTypeError
	require.ErrorAs(t, bind(`{"n":5000000000}`), &typeErr)
	var syntaxErr *jsonx.SyntaxError
	require.ErrorAs(t, bind(`{"n":}`), &syntaxErr)

	rendered := httptest.NewRecorder()
	c, _ := gin.CreateTestContext(rendered)
	c.IndentedJSON(http.StatusOK, map[string]float64{"n": 1e-7})
	assert.Equal(t, "{\n    \"n\": 1e-7\n}", rendered.Body.String())
}
