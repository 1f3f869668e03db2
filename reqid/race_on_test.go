//go:build race

package reqid_test

// The race detector makes everything slower and allocate more.
const raceEnabled = true
