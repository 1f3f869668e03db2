package apiserver_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/jsonx"
)

// Each route is described, and what is described has a route.
func TestOpenAPIRoutes(t *testing.T) {
	var described []string
	for path, item := range openAPI()["paths"].(object) {
		for method := range item.(object) {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	routes, err := apiserver.Routes()
	require.NoError(t, err)
	var served []string
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, route := range routes {
		if !regexp.MustCompile(`^/(healthz|livez|readyz|startupz|openapi.yaml)`).MatchString(route.Path) {
			served = append(served, route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}"))
		}
	}
	assert.ElementsMatch(t, described, served)
	assert.Equal(t, "3.1.0", openAPI()["openapi"])
}

func TestOpenAPIIsServed(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	resp, err := http.Get(s.url + "/openapi.yaml")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, apiserver.OpenAPI, text)
}

// validate is called for each answer that the tests of this package get. What the server accepts
// has to be valid by the document, and every answer has to be as the document says.
func validate(t *testing.T, req *http.Request, body []byte, a answer) {
	t.Helper()
	if a.code() == 100002 || a.code() == 100003 { // no such route, no such method
		return
	}
	item := pathItem(t, req.URL)
	operation := item[strings.ToLower(req.Method)].(object)
	if a.status < 300 {
		if wanted, ok := operation["requestBody"]; ok && body != nil {
			var value any
			require.NoError(t, jsonx.Unmarshal(body, &value))
			assert.NoError(t, fits(schemaOf(wanted.(object)), value, "body"), "%s %s %s is accepted", req.Method, req.URL, body)
		}
		parameters, _ := operation["parameters"].([]any)
		var known []string
		for _, p := range parameters {
			known = append(known, resolve(p.(object))["name"].(string))
		}
		for name := range req.URL.Query() {
			assert.Contains(t, known, name, "%s %s is accepted", req.Method, req.URL)
		}
	}
	responses := operation["responses"].(object)
	response, ok := responses[fmt.Sprint(a.status)].(object)
	if !ok {
		require.GreaterOrEqual(t, a.status, 400, "the answer to %s %s is not described", req.Method, req.URL)
		response = responses["default"].(object)
	}
	if schema := schemaOf(resolve(response)); schema != nil {
		assert.NoError(t, fits(schema, any(a.body), "answer"), "%s %s: %d %s", req.Method, req.URL, a.status, a.text)
	} else {
		assert.Empty(t, a.text)
	}
}

// openAPI is the document. Keys are text: the statuses in it have quotes.
var openAPI = sync.OnceValue(func() (document object) {
	if err := yaml.Unmarshal(apiserver.OpenAPI, &document); err != nil {
		panic(err)
	}
	return document
})

func pathItem(t *testing.T, u *url.URL) object {
	t.Helper()
	paths := openAPI()["paths"].(object)
	if item, ok := paths[u.Path]; ok {
		return item.(object)
	}
	for path, item := range paths {
		pattern := "^" + regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "[^/]+") + "$"
		if regexp.MustCompile(pattern).MatchString(u.EscapedPath()) {
			return item.(object)
		}
	}
	require.Fail(t, "no such path in openapi.yaml", u.Path)
	return nil
}

func resolve(o object) object {
	if ref, ok := o["$ref"].(string); ok {
		o = openAPI()
		for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			o = o[name].(object)
		}
	}
	return o
}

func schemaOf(o object) object {
	content, ok := o["content"].(object)
	if !ok {
		return nil
	}
	return content["application/json"].(object)["schema"].(object)
}

// fits knows the keywords of JSON Schema that openapi.yaml uses, and fails for others.
func fits(schema object, value any, path string) error {
	schema = resolve(schema)
	for keyword, want := range schema {
		ok := true
		switch keyword {
		case "description", "format":
		case "type":
			types, several := want.([]any)
			if !several {
				types = []any{want}
			}
			ok = slices.Contains(types, any(typeOf(value))) || slices.Contains(types, "number") && typeOf(value) == "integer"
		case "enum":
			ok = slices.Contains(want.([]any), value)
		case "minItems":
			ok = len(value.([]any)) >= want.(int)
		case "required":
			for _, name := range want.([]any) {
				if _, there := value.(object)[name.(string)]; !there {
					return fmt.Errorf("%s has no %v", path, name)
				}
			}
		case "additionalProperties":
			for name := range value.(object) {
				if _, known := schema["properties"].(object)[name]; !known {
					return fmt.Errorf("%s has %s, want %v", path, name, slices.Sorted(maps.Keys(schema["properties"].(object))))
				}
			}
		case "properties":
			o, _ := value.(object)
			for name, member := range o {
				if of, known := want.(object)[name].(object); known {
					if err := fits(of, member, path+"."+name); err != nil {
						return err
					}
				}
			}
		case "items":
			items, _ := value.([]any)
			for i, item := range items {
				if err := fits(want.(object), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
					return err
				}
			}
		default:
			return fmt.Errorf("%s: this test does not know the keyword %s", path, keyword)
		}
		if !ok {
			return fmt.Errorf("%s is %v, want %s %v", path, value, keyword, want)
		}
	}
	return nil
}

func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case object:
		return "object"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
	}
	return "number"
}
