package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// giveBack returns to the kernel what the agent does not use while it is idle: freed memory, and the pages of its own program, most of
// which a join needs once. What is needed again is mapped from the page cache when it is, and read from the disk at worst.
func giveBack(log *slog.Logger) {
	debug.FreeOSMemory()
	if err := forgetProgram(); err != nil {
		log.Warn("could not give back pages of the program", "error", err)
	}
}

func forgetProgram() error {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	areas, err := constantAreas(maps, program)
	for _, area := range areas {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, area.begin, area.end-area.begin, unix.MADV_DONTNEED); errno != 0 {
			err = errors.Join(err, fmt.Errorf("madvise: %w", errno))
		}
	}
	return err
}

// area is a range of addresses.
type area struct{ begin, end uintptr }

// constantAreas finds where the file is mapped and cannot be written to (proc_pid_maps(5)). What can be written to is not in the file:
// forgetting it would lose it.
func constantAreas(maps io.Reader, file string) ([]area, error) {
	var found []area
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		// The name is the last of six fields, and may contain spaces.
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || strings.Join(fields[5:], " ") != file || strings.Contains(fields[1], "w") {
			continue
		}
		var a area
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &a.begin, &a.end); err != nil {
			return nil, fmt.Errorf("%s: not a range of addresses: %w", fields[0], err)
		}
		found = append(found, a)
	}
	return found, lines.Err()
}
