package watch

import "maps"

// shared is a map that hands out views of itself: a view never changes, as the map is copied before the first change after a view
// was taken. So a snapshot costs nothing for what did not change since the last one.
type shared[K comparable, V any] struct {
	entries map[K]V
	viewed  bool
}

func (s *shared[K, V]) set(key K, value V) {
	s.own()
	s.entries[key] = value
}

// remove reports whether the key was there.
func (s *shared[K, V]) remove(key K) bool {
	if _, ok := s.entries[key]; !ok {
		return false
	}
	s.own()
	delete(s.entries, key)
	return true
}

func (s *shared[K, V]) view() map[K]V {
	s.viewed = true
	return s.entries
}

func (s *shared[K, V]) own() {
	switch {
	case s.entries == nil:
		s.entries = map[K]V{}
	case s.viewed:
		s.entries = maps.Clone(s.entries)
	}
	s.viewed = false
}
