package componentjson

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/jsonx"
)

func TestTheSameResults(t *testing.T) {
	for name, decode := range map[string]func(io.Reader) (string, error){"before": before, "after": after} {
		t.Run(name, func(t *testing.T) {
			got, err := decode(strings.NewReader(`{"name":"secret"}`))
			require.NoError(t, err)
			assert.Equal(t, "secret", got)

			_, err = decode(strings.NewReader(`{"name":`))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)

			_, err = decode(strings.NewReader(`{]`))
			var syntax *jsonx.SyntaxError
			require.True(t, errors.As(err, &syntax), "%v", err)
		})
	}
}
