package authzserver

// A Slot holds versions alone.
type Slot struct{ slot slot[struct{}] }

func (s *Slot) Store(version uint64) bool { return s.slot.store(&snapshot[struct{}]{version: version}) }
func (s *Slot) Version() uint64           { return s.slot.version() }
