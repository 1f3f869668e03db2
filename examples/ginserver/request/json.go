// Package request reads what clients send, strictly, and says what is wrong with it in words that a
// client may read.
package request

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/jsonx"
)

// MaxBody is a limit for bodies that is right for most APIs: 1 MiB.
const MaxBody = 1 << 20

// JSON reads the body, which must be exactly one JSON value of at most limit bytes, into what v
// points to. A member that v has no field for is an error, because it is a misspelling more often
// than not; so are a member that comes twice or in another case, numbers beyond float64, and more
// than 100 levels. Its errors are those of package response, ready to be written.
//
// gin's own ShouldBindJSON accepts all of that, unless a global switch is set for unknown members,
// ignores what follows the value, and has no limit.
func JSON(c *gin.Context, limit int64, v any) error {
	// A browser sends JSON to another origin only after a preflight; "text/plain" it sends at once
	// (CSRF).
	if mediaType, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || mediaType != "application/json" {
		return response.ErrMediaType.Detail("Content-Type is %.40q, must be application/json", c.GetHeader("Content-Type"))
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
	if err != nil {
		return explain(err)
	}
	decoder := jsonx.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return explain(err)
	}
	switch _, err := decoder.Token(); {
	case err == nil:
		return response.ErrBadRequest.Detail("the body has more than one JSON value")
	case !errors.Is(err, io.EOF):
		return explain(err)
	}
	return strict(data, v)
}

func explain(err error) error {
	var (
		syntaxErr *jsonx.SyntaxError
		typeErr   *jsonx.UnmarshalTypeError
		tooLarge  *http.MaxBytesError
		public    response.Error
	)
	switch {
	case errors.As(err, &tooLarge):
		public = response.ErrBodyTooLarge.Detail("the body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded): // the server's ReadTimeout
		public = response.ErrBodyTooSlow
	case errors.Is(err, io.EOF):
		public = response.ErrBadRequest.Detail("the body is empty, must be JSON")
	case errors.Is(err, io.ErrUnexpectedEOF):
		public = response.ErrBadRequest.Detail("the body ends in the middle of its JSON")
	case errors.As(err, &syntaxErr):
		public = response.ErrBadRequest.Detail("the body is not JSON, at byte %d", syntaxErr.Offset)
	case errors.As(err, &typeErr):
		public = response.ErrBadRequest.Detail("%s: a JSON %.40s does not fit here", orBody(typeErr.Field), typeErr.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field "): // it has no type of its own: golang/go#29035
		public = response.ErrBadRequest.Detail("unknown field %.100s", strings.TrimPrefix(err.Error(), "json: unknown field "))
	default: // a field's own UnmarshalJSON, or a connection that broke
		public = response.ErrBadRequest.Detail("the body cannot be read")
	}
	return fmt.Errorf("%w: %w", public, err)
}

func orBody(field string) string {
	if field == "" {
		return "the body"
	}
	return field
}
