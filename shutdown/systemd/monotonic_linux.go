package systemd

import (
	"syscall"
	"time"
	"unsafe"
)

// monotonicNow reads CLOCK_MONOTONIC (clock_gettime(2)). The monotonic time within a [time.Time]
// comes from the same clock, but Go gives out only differences of it.
func monotonicNow() (time.Duration, bool) {
	const clockMonotonic = 1 // linux/time.h
	var now syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0) // the system call fills now
	return time.Duration(now.Nano()), errno == 0
}
