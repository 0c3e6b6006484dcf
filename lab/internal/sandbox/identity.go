package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Identity is a process that cannot be confused with a later one of the same PID.
type Identity struct {
	PID int `json:"pid"`
	// StartTicks is field 22 of /proc/PID/stat (proc(5)): the start time in clock ticks since boot.
	StartTicks uint64 `json:"startTicks"`
}

// identify reads the identity of a process.
func identify(pid int) (Identity, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Identity{}, err
	}
	ticks, err := startTicks(string(stat))
	return Identity{PID: pid, StartTicks: ticks}, err
}

// startTicks skips the command, which may hold spaces and parentheses, up to its last ")".
func startTicks(stat string) (uint64, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const index = 22 - 3
	if len(fields) <= index {
		return 0, fmt.Errorf("process status %q is too short", stat)
	}
	return strconv.ParseUint(fields[index], 10, 64)
}

// alive says whether this very process runs. A zombie does not.
func (i Identity) alive() bool {
	now, err := identify(i.PID)
	if err != nil || now != i {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", i.PID))
	if err != nil {
		return false
	}
	state := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return len(state) > 0 && state[0] != "Z" && state[0] != "X"
}

// saveIdentity writes the init's identity to the run directory.
func saveIdentity(layout Layout, identity Identity) error {
	content, err := json.Marshal(identity)
	if err != nil {
		return err
	}
	return os.WriteFile(layout.identityFile(), content, 0o600)
}

// Running returns the first process of the running sandbox; ok is false if none runs.
func Running(layout Layout) (identity Identity, ok bool, err error) {
	content, err := os.ReadFile(layout.identityFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, false, nil
	}
	if err != nil {
		return Identity{}, false, fmt.Errorf("read the lab's process: %w", err)
	}
	if err := json.Unmarshal(content, &identity); err != nil {
		// A half-written file is what a crash leaves; the process is found by its cgroup then.
		return Identity{}, false, nil
	}
	return identity, identity.alive(), nil
}
