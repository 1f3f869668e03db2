package databases_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-playground/form/v4"
	"github.com/go-viper/mapstructure/v2"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/objectmeta"
)

// binders fill v from the query of a URL.
func binders(t *testing.T) map[string]func(query string, v any) error {
	gin.SetMode(gin.TestMode)
	return map[string]func(query string, v any) error{
		"gin": func(query string, v any) error {
			c, _ := gin.CreateTestContext(httptest.NewRecorder())
			c.Request = httptest.NewRequestWithContext(t.Context(), "GET", "/?"+query, nil)
			return c.ShouldBindQuery(v)
		},
		"echo": func(query string, v any) error {
			request := httptest.NewRequestWithContext(t.Context(), "GET", "/?"+query, nil)
			return echo.New().NewContext(request, httptest.NewRecorder()).Bind(v)
		},
	}
}

func TestListOptionsBindFromAQuery(t *testing.T) {
	tests := map[string]struct {
		query         string
		offset, limit int
	}{
		"unset":        {"", 0, 20},
		"set":          {"offset=40&limit=10", 40, 10},
		"empty limit":  {"limit=", 0, 20},
		"empty offset": {"offset=&limit=5", 0, 5},
		"limit 0":      {"limit=0", 0, 20},
		"too much":     {"limit=1000000", 0, 100},
	}
	for binder, bind := range binders(t) {
		for name, test := range tests {
			t.Run(binder+"/"+name, func(t *testing.T) {
				var options objectmeta.ListOptions
				require.NoError(t, bind(test.query, &options))
				offset, limit, err := options.Page(20, 100)
				require.NoError(t, err)
				assert.Equal(t, test.offset, offset)
				assert.Equal(t, test.limit, limit)
			})
		}
		t.Run(binder+"/not a number", func(t *testing.T) {
			require.Error(t, bind("limit=x", &objectmeta.ListOptions{}))
		})
	}
}

func TestKeysetBindsFromAQuery(t *testing.T) {
	tests := map[string]struct {
		query string
		after secretID
		limit int
	}{
		"first page":  {"", 0, 20},
		"empty after": {"after=&limit=", 0, 20},
		"after a row": {"after=secret-zpmsxh&limit=2", 1, 2},
	}
	for binder, bind := range binders(t) {
		for name, test := range tests {
			t.Run(binder+"/"+name, func(t *testing.T) {
				var keyset objectmeta.Keyset[secretKind]
				require.NoError(t, bind(test.query, &keyset))
				after, limit, err := keyset.Page(20, 100)
				require.NoError(t, err)
				assert.Equal(t, test.after, after)
				assert.Equal(t, test.limit, limit)
			})
		}
		for _, after := range []string{"1", "user-8u2x4i", "%00", "SECRET-ZPMSXH"} {
			t.Run(binder+"/after="+after, func(t *testing.T) {
				require.Error(t, bind("after="+after, &objectmeta.Keyset[secretKind]{}))
			})
		}
	}
}

// byKind are the decoders that look at the kind of a type alone, and would take the integer.
type byKind struct {
	ID    secretID `form:"id"    mapstructure:"id"`
	Count uint64   `form:"count" mapstructure:"count"`
}

func TestDecodersThatTakeTheIntegerAreToldNotTo(t *testing.T) {
	decodeForm := func(query string, v *byKind, mend bool) error {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		decoder := form.NewDecoder()
		if mend {
			decoder.RegisterCustomTypeFunc(func(v []string) (any, error) {
				return objectmeta.ParseID[secretKind](v[0])
			}, secretID(0))
		}
		return decoder.Decode(v, values)
	}
	decodeMap := func(body string, v *byKind, mend bool) error {
		var fields any
		require.NoError(t, json.Unmarshal([]byte(body), &fields))
		config := mapstructure.DecoderConfig{Result: v}
		if mend {
			config.DecodeHook = func(_, to reflect.Type, v any) (any, error) {
				if to != reflect.TypeFor[secretID]() {
					return v, nil
				}
				return objectmeta.ParseID[secretKind](fmt.Sprint(v))
			}
		}
		decoder, err := mapstructure.NewDecoder(&config)
		require.NoError(t, err)
		return decoder.Decode(fields)
	}
	tests := map[string]struct {
		decode        func(in string, v *byKind, mend bool) error
		key, instance string
	}{
		"go-playground/form": {decodeForm, "id=5&count=7", "id=secret-zpmsxh&count=7"},
		"mapstructure":       {decodeMap, `{"id":5,"count":7}`, `{"id":"secret-zpmsxh","count":7}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var raw byKind
			require.NoError(t, test.decode(test.key, &raw, false))
			assert.Equal(t, secretID(5), raw.ID, "if not, the documentation can leave it out")

			var v byKind
			require.ErrorContains(t, test.decode(test.key, &v, true), `"5" is not an instance ID`)
			require.NoError(t, test.decode(test.instance, &v, true))
			assert.Equal(t, byKind{ID: 1, Count: 7}, v)
		})
	}
}
