package notifygo

import "testing"

func TestServe(t *testing.T) {
	go Serve(func() {})
}
