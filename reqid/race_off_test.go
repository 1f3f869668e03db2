//go:build !race

package reqid_test

const raceEnabled = false
