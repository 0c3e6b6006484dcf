//go:build lab

package machine_test

import (
	"testing"

	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/machine/machinetest"
)

// A process that wants more than its machine has is killed, and nothing else of the host's.
func TestAMachineWithoutMemory(t *testing.T) {
	const limit = 128 << 20
	l := machinetest.New(t)
	l.AddMachine("small", machine.Options{})
	l.AddMachine("large", machine.Options{})
	before, err := l.Machines.LimitMemory("small", limit)
	l.Must(err)
	if before.Limit != limit || before.Used == 0 || before.Used > limit || before.Killed != 0 {
		t.Errorf("limited to %d: %+v", limit, before)
	}
	// What has no line end is kept by tail as a whole.
	const hungry = `head -c 256M /dev/zero | systemd-run --quiet --pipe --property=OOMScoreAdjust=1000 tail -c 256M | wc -c`
	l.Want("small", hungry, "0")
	l.Want("large", hungry, "268435456")
	after, err := l.Machines.Memory("small")
	l.Must(err)
	if after.Killed != 1 {
		t.Errorf("%d processes were killed, want 1", after.Killed)
	}
	lifted, err := l.Machines.LimitMemory("small", 0)
	l.Must(err)
	if lifted.Limit != 0 {
		t.Errorf("the limit is %d after it was lifted", lifted.Limit)
	}
	l.Want("small", hungry, "268435456")
	if _, err := l.Machines.Memory("none"); err == nil {
		t.Error("a machine that does not exist has memory")
	}
}
