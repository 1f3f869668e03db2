//go:build !linux

package systemd

import "time"

func monotonicNow() (time.Duration, bool) { return 0, false }
