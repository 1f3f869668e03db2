package drain

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAwaitCloseFrame(t *testing.T) {
	text := append([]byte{0x81, 126, 1, 0}, make([]byte, 256)...)
	closing := []byte{0x88, 2, 3, 0xe9}
	assert.NoError(t, awaitCloseFrame(bytes.NewReader(append(text, closing...))))
	assert.ErrorContains(t, awaitCloseFrame(bytes.NewReader(text)), "no close frame: EOF")
	assert.ErrorIs(t, awaitCloseFrame(bytes.NewReader(text[:100])), io.EOF)
}

// Whatever a server sends, it is read to a close frame or to its end.
func FuzzAwaitCloseFrame(f *testing.F) {
	f.Add([]byte{0x81, 1, 'a', 0x88, 0})
	f.Add([]byte{0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		if err := awaitCloseFrame(r); err != nil {
			assert.Zero(t, r.Len(), "%v", err)
		}
	})
}

func TestLateConn(t *testing.T) {
	const late = 20 * time.Millisecond
	a, b := net.Pipe()
	l := newLateConn(a, late)
	defer b.Close()
	begin := time.Now()
	_, err := l.Write([]byte("there"))
	require.NoError(t, err)
	buf := make([]byte, 5)
	_, err = io.ReadFull(b, buf)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(begin), late)
	_, err = b.Write([]byte("back"))
	require.NoError(t, err)
	n, err := l.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, "back", string(buf[:n]))
	assert.GreaterOrEqual(t, time.Since(begin), 2*late)
	require.NoError(t, l.Close())
	_, err = l.Read(buf)
	assert.Error(t, err)
	_, err = l.Write(buf)
	assert.ErrorIs(t, err, net.ErrClosed)
}
