package sandbox

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Leftovers lists what of a lab is on the host, one line each: processes, cgroups, mounts, the link and the run directory.
// While no lab runs it is empty, or Remove has work to do. The state directory does not count.
func Leftovers(layout Layout) ([]string, error) {
	var found []string
	pids, err := cgroupProcesses(layout)
	if err != nil {
		return nil, err
	}
	for pid := range pids {
		found = append(found, fmt.Sprintf("process %d", pid))
	}
	cgroups, err := labCgroups(layout)
	if err != nil {
		return nil, err
	}
	for _, dir := range cgroups {
		if _, err := os.Stat(dir); err == nil {
			found = append(found, "cgroup "+dir)
		}
	}
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for _, point := range mountsBelow(string(mountinfo), layout.RunDir, layout.StateDir) {
		found = append(found, "mount "+point)
	}
	if _, err := netlink.LinkByName(layout.HostLink); err == nil {
		found = append(found, "link "+layout.HostLink)
	}
	if _, err := os.Stat(layout.RunDir); err == nil {
		found = append(found, "directory "+layout.RunDir)
	}
	slices.Sort(found)
	return found, nil
}

// mountsBelow returns the mount points in a mountinfo text that are one of the directories or below one.
func mountsBelow(mountinfo string, dirs ...string) []string {
	var points []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		for _, dir := range dirs {
			if fields[4] == dir || strings.HasPrefix(fields[4], dir+"/") {
				points = append(points, fields[4])
			}
		}
	}
	return points
}
