package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestMountPoints(t *testing.T) {
	const mountinfo = `21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 30 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:27 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,name=systemd
33 30 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
34 30 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
`
	want := []string{"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"}
	if got := mountPoints(mountinfo); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A tree of plain files stands for the kernel's: a new group gets what it may not be without.
func TestMakeInheritsOnEachLevel(t *testing.T) {
	mount := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(mount, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(mount, "lab", "machine"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("cpuset.cpus", "0-1\n")
	write("lab/cpuset.cpus", "\n")
	write("lab/machine/cpuset.cpus", "")
	write("lab/cgroup.procs", "12\n")
	write("lab/machine/cgroup.procs", "34\n0\n56\n")
	if err := Make(mount, "lab/machine"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(mount, "lab/machine/cpuset.cpus")); err != nil || string(got) != "0-1\n" {
		t.Errorf("processors are %q, %v", got, err)
	}
	if got := Processes(filepath.Join(mount, "lab")); !slices.Equal(got, []int{12, 34, 56}) {
		t.Errorf("processes are %v", got)
	}
	if got := Tree(filepath.Join(mount, "absent")); len(got) != 0 {
		t.Errorf("an absent group has %v", got)
	}
}
