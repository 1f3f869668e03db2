package drain

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// events reads a stream until it ends.
func events(ctx context.Context, p *program) (finding, error) {
	if !p.http1 || p.Events == "" {
		return notApplicable("no stream of events found: give -events"), nil
	}
	in, err := p.start(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()
	c, resp, err := p.openEvents(ctx, in, p.Events)
	if err != nil {
		return finding{}, err
	}
	defer c.Close()
	begin := time.Now()
	in.signal(p.Signal)
	return p.ending(begin, c, in, func() error {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}), nil
}

// ending waits until read returns, which is nil if what is read ends in order.
func (p *program) ending(begin time.Time, c *conn, in *instance, read func() error) finding {
	_ = c.SetDeadline(begin.Add(p.Grace)) // a broken connection fails below
	err := read()
	took := seconds(time.Since(begin))
	switch {
	case err == nil:
		return ok("ended in order %v after the signal", took)
	case isTimeout(err):
		return sureFault("it goes on %v after the signal, and holds the stop up", p.Grace)
	case in.await(context.Background(), time.Second):
		return fault("cut %v after the signal; the process ended with %s", took, in.status())
	default:
		return fault("cut %v after the signal", took)
	}
}

// webSocket waits for a close frame.
func webSocket(ctx context.Context, p *program) (finding, error) {
	if !p.http1 || p.Socket == "" {
		return notApplicable("no WebSocket found: give -socket"), nil
	}
	in, err := p.start(ctx)
	if err != nil {
		return finding{}, err
	}
	defer in.close()
	c, err := p.openSocket(ctx, in, p.Socket)
	if err != nil {
		return finding{}, err
	}
	defer c.Close()
	begin := time.Now()
	in.signal(p.Signal)
	return p.ending(begin, c, in, func() error { return awaitCloseFrame(c.br) }), nil
}

// awaitCloseFrame reads the frames of a server (RFC 6455, 5.2), which are not masked.
func awaitCloseFrame(r io.Reader) error {
	const opClose = 8
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("no close frame: %w", err)
		}
		if head[0]&0xf == opClose {
			return nil
		}
		size := int64(head[1] & 0x7f)
		var more [8]byte
		switch size {
		case 126:
			if _, err := io.ReadFull(r, more[6:]); err != nil {
				return err
			}
			size = int64(binary.BigEndian.Uint64(more[:]))
		case 127:
			if _, err := io.ReadFull(r, more[:]); err != nil {
				return err
			}
			size = int64(binary.BigEndian.Uint64(more[:]) >> 1) // never that much
		}
		if _, err := io.CopyN(io.Discard, r, size); err != nil {
			return err
		}
	}
}
