//go:build faults

package faults

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// directory is where tests say what is to go wrong.
const directory = "/run/hawser-faults"

// Before returns what counts the changes to the host while there is a file die-at, `N PREFIX`, and kills this process before the N-th of those that
// begin with PREFIX; any do without one. The file goes first, so that the next run lives, and file died gets a line with the change.
func Before() func(change string) { return (&death{directory: directory, kill: killSelf}).before }

// Now returns the host's clock, ahead by what a file clock says, `24h` or `-24h`. Only what clocks show is ahead: the monotonic reading, which
// nobody can set, is left out.
func Now() func() time.Time { return wrongClock{directory}.now }

type death struct {
	directory string
	kill      func()

	mutex sync.Mutex
	// order is what file die-at said last, left how many of the changes are still to be made.
	order string
	left  int
}

func (d *death) before(change string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	file := filepath.Join(d.directory, "die-at")
	order := read(file)
	number, prefix, _ := strings.Cut(order, " ")
	if order != d.order {
		d.order = order
		// What is no number kills nobody.
		d.left, _ = strconv.Atoi(cmp.Or(number, "0"))
	}
	if d.left <= 0 || !strings.HasPrefix(change, prefix) {
		return
	}
	if d.left--; d.left > 0 {
		return
	}
	if err := d.note(change, file); err != nil {
		panic(err)
	}
	d.kill()
}

func (d *death) note(change, order string) error {
	died, err := os.OpenFile(filepath.Join(d.directory, "died"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(died, change); err != nil {
		return err
	}
	if err := died.Close(); err != nil {
		return err
	}
	return os.Remove(order)
}

func killSelf() {
	// Nothing of this process runs on after the call.
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {}
}

type wrongClock struct{ directory string }

func (c wrongClock) now() time.Time {
	ahead, err := time.ParseDuration(read(filepath.Join(c.directory, "clock")))
	if err != nil {
		return time.Now()
	}
	return time.Now().Round(0).Add(ahead)
}

// read returns what a file says, nothing if it is not there.
func read(file string) string {
	content, _ := os.ReadFile(file)
	return strings.TrimSpace(string(content))
}
