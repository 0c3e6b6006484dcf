package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotFound is wrapped by errors about a machine that does not exist.
var ErrNotFound = errors.New("no such machine")

// ErrNotRunning is wrapped by errors about a machine that is off.
var ErrNotRunning = errors.New("machine is not running")

// Store is the folder of machines. Any process in the lab's namespaces may read it and run commands in machines; the
// Manager is the only writer.
type Store struct{ dir string }

// NewStore names the folder; it need not exist yet.
func NewStore(dir string) *Store { return &Store{dir: dir} }

// leader is the machine's PID 1. The start time tells it from a later process of the same id.
type leader struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"startTime"`
}

func (s *Store) path(name string, elem ...string) string {
	return filepath.Join(append([]string{s.dir, name}, elem...)...)
}

// Specs lists all machines by name.
func (s *Store) Specs() ([]Spec, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("machine: %w", err)
	}
	var specs []Spec
	for _, entry := range entries {
		if validName(entry.Name()) != nil {
			continue
		}
		spec, err := s.Spec(entry.Name())
		if errors.Is(err, ErrNotFound) {
			continue // A machine whose making or removal was cut short; Add and Run clear it.
		}
		if err != nil {
			return nil, err
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// Spec reads one machine.
func (s *Store) Spec(name string) (Spec, error) {
	if err := validName(name); err != nil {
		return Spec{}, err
	}
	var spec Spec
	err := readJSON(s.path(name, "spec.json"), &spec)
	if errors.Is(err, os.ErrNotExist) {
		return Spec{}, fmt.Errorf("machine: %w: %s (see: hawser-lab vm list)", ErrNotFound, name)
	}
	return spec, err
}

// ConsolePath is the file with what a machine printed on its console since it was switched on.
func (s *Store) ConsolePath(name string) string { return s.path(name, "console.log") }

// Leader is the process id of a running machine's PID 1.
func (s *Store) Leader(name string) (int, error) {
	if _, err := s.Spec(name); err != nil {
		return 0, err
	}
	var l leader
	err := readJSON(s.path(name, "leader.json"), &l)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	started, alive := processStartTime(l.PID)
	if err != nil || !alive || started != l.StartTime {
		return 0, fmt.Errorf("machine: %w: %s (start it with: hawser-lab vm start %[2]s)", ErrNotRunning, name)
	}
	return l.PID, nil
}

func (s *Store) saveSpec(spec Spec) error { return writeJSON(s.path(spec.Name, "spec.json"), spec) }

func (s *Store) saveLeader(name string, pid int) error {
	started, alive := processStartTime(pid)
	if !alive {
		return fmt.Errorf("machine: %s: PID 1 (process %d) has ended already", name, pid)
	}
	return writeJSON(s.path(name, "leader.json"), leader{PID: pid, StartTime: started})
}

func (s *Store) dropLeader(name string) error {
	if err := os.Remove(s.path(name, "leader.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("machine: %w", err)
	}
	return nil
}

// processStartTime is field 22 of proc_pid_stat(5), in clock ticks since boot. A zombie counts as not alive.
func processStartTime(pid int) (ticks uint64, alive bool) {
	if pid <= 0 {
		return 0, false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	// The command, field 2, may hold spaces and parentheses; what follows the last one starts with field 3, the state.
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	ticks, err = strconv.ParseUint(fields[19], 10, 64)
	return ticks, err == nil
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("machine: %s is damaged (remove the machine with: hawser-lab vm rm NAME): %w", path, err)
	}
	return nil
}

// writeJSON replaces a file as a whole: a reader, or a start after a crash, finds the old or the new text.
func writeJSON(path string, value any) (err error) {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("machine: encode %s: %w", path, err)
	}
	folder := filepath.Dir(path)
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("machine: write %s: %w", path, err), file.Close(), os.Remove(file.Name()))
		}
	}()
	if _, err := file.Write(append(raw, '\n')); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return errors.Join(file.Close(), syncFolder(folder))
}

func syncFolder(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Fsync(fd), unix.Close(fd))
}
