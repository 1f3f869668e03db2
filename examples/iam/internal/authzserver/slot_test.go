package authzserver_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
)

// However many answers come at the same time, the newest one stays and no reader sees time run backwards.
func TestSlotIsMonotonic(t *testing.T) {
	const writers, versions = 4, 200
	var slot authzserver.Slot
	var taken sync.Map
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for v := range uint64(versions) {
				if slot.Store(v + 1) {
					_, twice := taken.LoadOrStore(v+1, true)
					assert.False(t, twice, "version %d was taken twice", v+1)
				}
			}
		})
	}
	wg.Go(func() {
		for last := uint64(0); last < versions; {
			v := slot.Version()
			if !assert.GreaterOrEqual(t, v, last) {
				return
			}
			last = v
		}
	})
	wg.Wait()
	assert.EqualValues(t, versions, slot.Version())
	assert.False(t, slot.Store(versions), "the same again")
	assert.False(t, slot.Store(versions-1), "an older one")
}
