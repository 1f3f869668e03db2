package store

// SetHistory says for how many revisions changes are kept, before the store is used.
func (s *Store) SetHistory(revisions uint64) { s.history = revisions }
