//go:build !faults

package faults

import "time"

// Before is what is told of each change to the host before it is made: nobody.
func Before() func(change string) { return nil }

// Now is the host's clock.
func Now() func() time.Time { return time.Now }
