//go:build jsonv2 && !jsoniter && go1.28

package jsonx

import "encoding/json"

// From Go 1.28 on the experiment, and with it the tag goexperiment.jsonv2, may be gone.
// This name exists only where encoding/json is built on v2.
var _ = json.DefaultOptionsV1
