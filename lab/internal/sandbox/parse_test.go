package sandbox

import (
	"slices"
	"testing"
)

const mountinfo = `21 26 0:20 / /proc rw,relatime - proc proc rw
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
40 25 0:30 / /run/hawser-lab/netns rw - tmpfs tmpfs rw
41 25 0:31 / /run/hawser-labs rw - tmpfs tmpfs rw
`

func TestMountsBelow(t *testing.T) {
	if got := mountsBelow(mountinfo, "/run/hawser-lab", "/proc"); !slices.Equal(got, []string{"/proc", "/run/hawser-lab/netns"}) {
		t.Errorf("mounts are %v", got)
	}
}

func TestCgroupHierarchies(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []hierarchy
	}{
		"v1 and hybrid": {"3:cpu,cpuacct:/user\n2:name=systemd:/\n0::/\n", []hierarchy{{"cpu,cpuacct"}, {"name=systemd"}, {""}}},
		"v2":            {"0::/user.slice\n", []hierarchy{{""}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cgroupHierarchies(test.text); !slices.Equal(got, test.want) {
				t.Errorf("hierarchies are %v", got)
			}
		})
	}
}

func TestStartTicks(t *testing.T) {
	stat := "42 (a (strange) name) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 123 456"
	if got, err := startTicks(stat); err != nil || got != 98765 {
		t.Errorf("start ticks are %d, %v", got, err)
	}
	if _, err := startTicks("42 (short) S 1"); err == nil {
		t.Error("a short line is accepted")
	}
}
