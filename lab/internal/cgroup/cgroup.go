// Package cgroup makes groups in each of the kernel's cgroup hierarchies, and tells what is in them: one hierarchy of version 2, or several of version 1
// (cgroups(7)).
//
// It ends no process and removes nothing: whose groups they are is for its callers to know.
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Hierarchies are the mount points of all of them.
func Hierarchies() ([]string, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroup hierarchies: %w", err)
	}
	return mountPoints(string(mountinfo)), nil
}

// mountPoints finds them in a text as proc_pid_mountinfo(5) describes it.
func mountPoints(mountinfo string) []string {
	var points []string
	for line := range strings.Lines(mountinfo) {
		mount, source, ok := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		kind, _, _ := strings.Cut(source, " ")
		if !ok || len(fields) < 5 || kind != "cgroup" && kind != "cgroup2" {
			continue
		}
		if !slices.Contains(points, fields[4]) {
			points = append(points, fields[4])
		}
	}
	return points
}

// Make makes each level of a path below a mount point. A new group of the cpuset hierarchy (version 1) admits no process until it has been given
// processors and memory nodes; it gets its parent's.
func Make(mount, path string) error {
	parent := mount
	for name := range strings.SplitSeq(path, "/") {
		group := filepath.Join(parent, name)
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make cgroup: %w", err)
		}
		for _, setting := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(parent, group, setting); err != nil {
				return fmt.Errorf("make cgroup: %w", err)
			}
		}
		parent = group
	}
	return nil
}

// inherit gives a group its parent's setting if it has none. Version 2 does so of its own accord, and has no file for the root at all.
func inherit(parent, group, setting string) error {
	current, err := os.ReadFile(filepath.Join(group, setting))
	if errors.Is(err, fs.ErrNotExist) || len(bytes.TrimSpace(current)) != 0 {
		return nil
	}
	inherited, err := os.ReadFile(filepath.Join(parent, setting))
	if err != nil || len(bytes.TrimSpace(inherited)) == 0 {
		return nil
	}
	return os.WriteFile(filepath.Join(group, setting), inherited, 0o644)
}

// Tree is a group and all below it, parents first; one that is not there has none.
func Tree(group string) []string {
	var groups []string
	// What vanishes on the way need not be listed.
	_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return nil
	})
	return groups
}

// Processes are the ids of those that run in a group or below it.
func Processes(group string) []int {
	var pids []int
	for _, group := range Tree(group) {
		list, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if err != nil {
			continue // removed meanwhile
		}
		for field := range strings.FieldsSeq(string(list)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
