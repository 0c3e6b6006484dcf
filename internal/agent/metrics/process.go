package metrics

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is what an agent uses of its host.
type Process struct {
	// ResidentMemory in bytes.
	ResidentMemory int64
	// CPU is the time that it ran, for itself and in the kernel.
	CPU     time.Duration
	Started time.Time
}

// Self is the process that calls, which started at that time.
func Self(started time.Time) (Process, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return Process{}, err
	}
	pages, err := residentPages(string(statm))
	if err != nil {
		return Process{}, err
	}
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return Process{}, fmt.Errorf("getrusage: %w", err)
	}
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return Process{ResidentMemory: pages * int64(os.Getpagesize()), CPU: cpu, Started: started}, nil
}

// residentPages is the second number (proc_pid_statm(5)).
func residentPages(statm string) (int64, error) {
	fields := strings.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/self/statm has %d fields: %q", len(fields), statm)
	}
	return strconv.ParseInt(fields[1], 10, 64)
}
