package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/lab/internal/cgroup"
)

// Memory is what a running machine uses of the host's.
type Memory struct {
	// Used bytes, file caches included.
	Used int64 `json:"used"`
	// Limit in bytes, 0 if there is none but the host's.
	Limit int64 `json:"limit"`
	// Killed are the processes that the kernel has killed since the machine was booted, as there was no memory left for them.
	Killed int64 `json:"killed"`
}

// memoryFiles are the names of one version of the kernel's memory controller
// (Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst).
type memoryFiles struct {
	limit, unlimited, used string
	// events has a line "oom_kill NUMBER".
	events string
}

func memoryVersions() []memoryFiles {
	return []memoryFiles{
		{limit: "memory.limit_in_bytes", unlimited: "-1", used: "memory.usage_in_bytes", events: "memory.oom_control"},
		{limit: "memory.max", unlimited: "max", used: "memory.current", events: "memory.events"},
	}
}

// unlimited is more than any limit that somebody sets: version 1 shows none as the greatest number of whole pages.
const unlimited = 1 << 62

// LimitMemory gives a running machine at most limit bytes until it is powered off or the limit is another one; 0 lifts it. What is there already
// and can be written to disk or read again goes; the kernel refuses a limit below what is left then.
func (m *Manager) LimitMemory(name string, limit int64) (Memory, error) {
	group, files, err := m.memoryGroup(name)
	if err != nil {
		return Memory{}, err
	}
	value := files.unlimited
	if limit > 0 {
		value = strconv.FormatInt(limit, 10)
	}
	if err := os.WriteFile(filepath.Join(group, files.limit), []byte(value), 0o644); err != nil {
		return Memory{}, fmt.Errorf("machine: limit the memory of %s to %d bytes: %w", name, limit, err)
	}
	return readMemory(name, group, files)
}

// Memory is what a running machine uses now.
func (m *Manager) Memory(name string) (Memory, error) {
	group, files, err := m.memoryGroup(name)
	if err != nil {
		return Memory{}, err
	}
	return readMemory(name, group, files)
}

func readMemory(machine, group string, files memoryFiles) (memory Memory, err error) {
	defer func() {
		if err != nil {
			memory, err = Memory{}, fmt.Errorf("machine: read the memory of %s: %w", machine, err)
		}
	}()
	for name, field := range map[string]*int64{files.limit: &memory.Limit, files.used: &memory.Used} {
		text, err := os.ReadFile(filepath.Join(group, name))
		if err != nil {
			return Memory{}, err
		}
		if value := strings.TrimSpace(string(text)); value != files.unlimited {
			if *field, err = strconv.ParseInt(value, 10, 64); err != nil {
				return Memory{}, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if memory.Limit >= unlimited {
		memory.Limit = 0
	}
	events, err := os.ReadFile(filepath.Join(group, files.events))
	if err != nil {
		return Memory{}, err
	}
	for line := range strings.Lines(string(events)) {
		if number, ok := strings.CutPrefix(line, "oom_kill "); ok {
			if memory.Killed, err = strconv.ParseInt(strings.TrimSpace(number), 10, 64); err != nil {
				return Memory{}, fmt.Errorf("%s: %w", files.events, err)
			}
		}
	}
	return memory, nil
}

// memoryGroup finds the cgroup by which the memory of a running machine is counted.
func (m *Manager) memoryGroup(name string) (group string, files memoryFiles, err error) {
	if _, err := m.Spec(name); err != nil {
		return "", memoryFiles{}, err
	}
	mounts, err := cgroup.Hierarchies()
	if err != nil {
		return "", memoryFiles{}, err
	}
	for _, mount := range mounts {
		group := filepath.Join(mount, m.cfg.Cgroup, name)
		for _, files := range memoryVersions() {
			if _, err := os.Stat(filepath.Join(group, files.limit)); err == nil {
				return group, files, nil
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", memoryFiles{}, err
			}
		}
	}
	return "", memoryFiles{}, fmt.Errorf("machine: %s does not run, or the host's kernel has no memory controller", name)
}
