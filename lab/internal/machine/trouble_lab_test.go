//go:build lab

package machine_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/machine/machinetest"
)

// Where the lab's folder is on an overlay itself, as in a container, a machine's disk is a copy.
func TestDiskIsCopiedWhereNoOverlayIsPossible(t *testing.T) {
	l := machinetest.New(t)
	l.Shutdown()
	below, folder := t.TempDir(), t.TempDir()
	for _, name := range []string{"/lower", "/upper", "/work"} {
		l.Must(os.Mkdir(below+name, 0o755))
	}
	l.Must(syscall.Mount("overlay", folder, "overlay", 0, "lowerdir="+below+"/lower,upperdir="+below+"/upper,workdir="+below+"/work"))
	t.Cleanup(func() { l.Must(syscall.Unmount(folder, 0)) })
	l.Config.Dir = folder
	l.Resume()
	t.Cleanup(l.Shutdown)
	l.AddMachine("copied", machine.Options{})
	spec, err := l.Machines.Spec("copied")
	l.Must(err)
	if !spec.Copied {
		t.Error("the disk is an overlay on an overlay")
	}
	l.Want("copied", "systemctl is-system-running; echo kept >/root/kept", "running")
	_, err = l.Machines.Reboot(t.Context(), "copied")
	l.Must(err)
	l.Want("copied", "cat /root/kept", "kept")
	l.Must(l.Machines.Remove(t.Context(), "copied"))
}

func TestStubbornMachine(t *testing.T) {
	l := machinetest.New(t)
	l.Shutdown()
	l.Config.StopTimeout, l.Config.BootTimeout = time.Second, 2*time.Second
	l.Resume()
	l.AddMachine("stubborn", machine.Options{})
	const unit = `cat >/etc/systemd/system/slow.service <<'END'
[Service]
Type=oneshot
ExecStart=sleep infinity
ExecStop=sleep infinity
RemainAfterExit=yes
TimeoutSec=infinity
KillSignal=SIGCONT
SendSIGKILL=no
[Install]
WantedBy=multi-user.target
END
systemctl enable --quiet slow && echo ok`
	l.Want("stubborn", unit, "ok")

	status, err := l.Machines.Reboot(t.Context(), "stubborn")
	l.Must(err)
	if !strings.Contains(status.Message, "boot has not finished") {
		t.Errorf("a machine whose boot hangs is %+v", status)
	}
	l.Want("stubborn", "systemctl show -P ActiveState slow", "activating") // and can be looked into

	status, err = l.Machines.Stop(t.Context(), "stubborn")
	l.Must(err)
	if !strings.Contains(status.Message, "power was cut") {
		t.Errorf("a machine that does not shut down is %+v", status)
	}
}

// Whatever else hangs, the plug works.
func TestRemoveFrozenNspawn(t *testing.T) {
	l := machinetest.New(t)
	status := l.AddMachine("frozen", machine.Options{})
	l.Must(syscall.Kill(parent(t, status.Leader), syscall.SIGSTOP))
	l.Must(l.Machines.Remove(t.Context(), "frozen"))
}

func TestBrokenRootIsTold(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("broken", machine.Options{})
	l.Want("broken", "rm /usr/lib/systemd/systemd /sbin/init && sync && echo ok", "ok")
	_, err := l.Machines.Stop(t.Context(), "broken")
	l.Must(err)
	if _, err := l.Machines.Start(t.Context(), "broken"); err == nil || !strings.Contains(err.Error(), "console.log") {
		t.Errorf("a machine without systemd starts with %v, want an error that leads to the console", err)
	}
}

// The root file system below a machine's disk is in the build cache, which may be emptied at any time.
func TestMachineIsMadeAnewWhenItsRootFileSystemIsGone(t *testing.T) {
	l := machinetest.New(t)
	rootfs := l.Config.Rootfs
	l.Shutdown()
	l.Config.Rootfs = filepath.Join(t.TempDir(), "root")
	l.Must(os.Symlink(rootfs, l.Config.Rootfs))
	l.Resume()
	l.AddMachine("first", machine.Options{})
	before := l.AddMachine("orphan", machine.Options{Resolved: true})
	l.Want("orphan", "systemctl is-active systemd-resolved", "active")
	l.Must(l.Machines.Remove(t.Context(), "first"))
	l.Shutdown()
	l.Must(os.Remove(l.Config.Rootfs))

	l.Config.Rootfs = rootfs
	l.Resume()
	l.Eventually("the machine runs again", func() bool {
		status, err := l.Machines.Status("orphan")
		l.Must(err)
		return status.State == machine.Running
	})
	after, err := l.Machines.Status("orphan")
	l.Must(err)
	if after.Address != before.Address || !after.Resolved {
		t.Errorf("the machine was %+v and is %+v, want the same address and resolver", before, after)
	}
	l.Want("orphan", "systemctl is-active systemd-resolved", "active")
}
