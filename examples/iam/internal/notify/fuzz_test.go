package notify_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

func FuzzParse(f *testing.F) {
	f.Add(`{"event":"SecretChanged","version":42}`)
	f.Add(`{"event":"PolicyChanged","version":1e3}`)
	f.Add(`{"Event":"PolicyChanged","version":1,"version":2}`)
	f.Fuzz(func(t *testing.T, payload string) {
		m, err := notify.Parse(payload)
		if err != nil {
			assert.Zero(t, m)
			return
		}
		assert.NotZero(t, m.Version)
		written, err := json.Marshal(m)
		require.NoError(t, err)
		again, err := notify.Parse(string(written))
		require.NoError(t, err)
		assert.Equal(t, m, again)
	})
}
