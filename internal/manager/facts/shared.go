package facts

import "reflect"

// Shared tells whether maps of two snapshots are one and the same: snapshots share what did not change between them. False tells nothing.
func Shared[K comparable, V any](a, b map[K]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}
