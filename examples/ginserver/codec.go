package main

import (
	"io"

	ginjson "github.com/gin-gonic/gin/codec/json"

	"github.com/gracekit/gracekit/jsonx"
)

// ginCodec gives gin the engine of jsonx, for c.JSON and for its bindings. By itself gin takes
// json-iterator as it is under the tag jsoniter, and that makes 705032704 of 5000000000 in an
// int32, without an error.
type ginCodec struct{}

func (ginCodec) Marshal(v any) ([]byte, error)          { return jsonx.Marshal(v) }
func (ginCodec) Unmarshal(data []byte, v any) error     { return jsonx.Unmarshal(data, v) }
func (ginCodec) NewEncoder(w io.Writer) ginjson.Encoder { return jsonx.NewEncoder(w) }
func (ginCodec) NewDecoder(r io.Reader) ginjson.Decoder { return jsonx.NewDecoder(r) }
func (ginCodec) MarshalIndent(v any, prefix, indent string) ([]byte, error) {
	return jsonx.MarshalIndent(v, prefix, indent)
}
