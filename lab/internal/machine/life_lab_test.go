//go:build lab

package machine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/machine/machinetest"
)

func TestPlainMachine(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("plain", machine.Options{})
	l.Want("plain", "hostname; cat /etc/hostname", "plain\nplain")
	l.Want("plain", "systemctl is-system-running", "running")
	l.Want("plain", "cat /etc/resolv.conf", "nameserver 172.31.0.1\nsearch lab.internal")
	l.Want("plain", "grep ^hosts: /etc/nsswitch.conf | tr -s ' '", "hosts: files dns")
	l.WantFailure("plain", "command -v resolvectl")
	l.Want("plain", "ip -4 -o addr show eth0 | awk '{print $4}'", "172.31.0.11/24")
	l.Want("plain", "nc -z 127.0.0.1 22 && echo open", "open")
	l.Want("plain", "wc -c </etc/machine-id", "33")
}

func TestMachineWithResolved(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("modern", machine.Options{Resolved: true})
	l.Want("modern", "systemctl is-system-running", "running")
	l.Want("modern", "readlink /etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
	l.Want("modern", "grep -v ^# /etc/resolv.conf | sort", "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lab.internal")
	l.Want("modern", "resolvectl dns | grep Global", "Global: 172.31.0.1")
}

// What an agent and its proxy's units ask of the kernel: sandboxing by systemd, nftables, a sysctl of the network.
func TestHardenedUnitsRun(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("hard", machine.Options{})
	const properties = "PrivateTmp=yes ProtectSystem=strict ProtectHome=yes PrivateDevices=yes DynamicUser=yes NoNewPrivileges=yes " +
		"ProtectKernelTunables=yes ProtectControlGroups=yes ProtectKernelModules=yes ProtectKernelLogs=yes ProtectClock=yes " +
		"ProtectHostname=yes RestrictNamespaces=yes RestrictSUIDSGID=yes LockPersonality=yes MemoryDenyWriteExecute=yes " +
		"RestrictRealtime=yes SystemCallFilter=@system-service SystemCallArchitectures=native StateDirectory=hard " +
		"RuntimeDirectory=hard BindReadOnlyPaths=/etc/hostname:/srv/name ProtectProc=invisible ProcSubset=pid " +
		"AmbientCapabilities=CAP_NET_BIND_SERVICE RestrictAddressFamilies=AF_INET MemoryMax=100M"
	argv := "systemd-run --quiet --wait --pipe -p " + strings.ReplaceAll(properties, " ", " -p ")
	l.Want("hard", argv+" cat /srv/name", "hard")
	l.WantFailure("hard", argv+" touch /usr/x")
	l.Want("hard", "sysctl -n -w net.ipv4.tcp_migrate_req=1", "1")
	l.Want("hard", "nft add table inet mine && nft list tables", "table inet mine")
	l.Want("hard", "iptables-nft -t nat -A OUTPUT -p tcp -m owner ! --uid-owner 1337 -j REDIRECT --to-ports 15001 && echo ok", "ok")
	l.Want("hard", "nft add table inet mangle_it '{ chain c { type route hook output priority 0; meta mark set 1; tcp dport 1 ct zone set 3; }; }' && echo ok || true", "ok")
}

func TestExec(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("exec", machine.Options{})
	var out strings.Builder
	code, err := l.Machines.Exec(t.Context(), "exec", []string{"sh", "-c", "cat; exit 7"},
		machine.Stdio{In: strings.NewReader("through"), Out: &out})
	l.Must(err)
	if code != 7 || out.String() != "through" {
		t.Errorf("exit code %d and output %q, want 7 and \"through\"", code, out.String())
	}
	if _, code := l.Shell("exec", "kill -9 $$"); code != 137 {
		t.Errorf("death by SIGKILL is exit code %d, want 137", code)
	}
	if _, err := l.Machines.Exec(t.Context(), "nobody", []string{"true"}, machine.Stdio{}); !errors.Is(err, machine.ErrNotFound) {
		t.Errorf("command on an unknown machine: %v, want ErrNotFound", err)
	}
}

func TestCopy(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("copy", machine.Options{})
	tree := filepath.Join(t.TempDir(), "tree")
	l.Must(os.MkdirAll(filepath.Join(tree, "sub"), 0o750))
	l.Must(os.WriteFile(filepath.Join(tree, "sub", "run.sh"), []byte("#!/bin/sh\necho ran\n"), 0o755))
	l.Must(os.Symlink("sub/run.sh", filepath.Join(tree, "link")))
	l.Must(l.Machines.Copy(t.Context(), tree, "copy", "/opt/new"))
	l.Want("copy", "/opt/new/link; stat -c %U:%a /opt/new/sub", "ran\nroot:750")
	l.Must(l.Machines.Copy(t.Context(), tree+"/sub/run.sh", "copy", "/usr/local/bin/"))
	l.Want("copy", "run.sh", "ran")
	l.Must(l.Machines.Copy(t.Context(), "/usr/bin/sleep", "copy", "/run/busy"))
	l.Want("copy", "(/run/busy 60 >/dev/null 2>&1 &) && echo started", "started")
	l.Must(l.Machines.Copy(t.Context(), tree+"/sub/run.sh", "copy", "/run/busy"))
	l.Want("copy", "/run/busy", "ran")
	if err := l.Machines.Copy(t.Context(), tree, "copy", "/none/there/x"); err == nil || !strings.Contains(err.Error(), "/none/there") {
		t.Errorf("copy into a folder that does not exist: %v, want an error that names it", err)
	}
}

func TestRebootFromOutside(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("again", machine.Options{})
	l.Want("again", "echo kept >/root/kept; nft add table inet mine; sysctl -n -w net.ipv4.tcp_migrate_req=1; touch /run/lost", "1")
	status, err := l.Machines.Reboot(t.Context(), "again")
	l.Must(err)
	if status.Boot != 2 || status.State != machine.Running {
		t.Errorf("after a reboot: %+v, want boot 2, running", status)
	}
	l.Want("again", "cat /root/kept; nft list tables; sysctl -n net.ipv4.tcp_migrate_req; ls /run/lost 2>/dev/null || echo gone", "kept\n0\ngone")
}

func TestRebootAndPowerOffFromInside(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("inner", machine.Options{})
	l.Shell("inner", "systemctl reboot")
	l.Eventually("second boot runs", func() bool {
		status, err := l.Machines.Status("inner")
		return err == nil && status.Boot == 2 && status.State == machine.Running
	})
	l.Shell("inner", "systemctl poweroff")
	l.Eventually("machine is off", func() bool {
		status, err := l.Machines.Status("inner")
		return err == nil && status.State == machine.Stopped && status.Message == "powered off from inside"
	})
	spec, err := l.Machines.Spec("inner")
	l.Must(err)
	if spec.On {
		t.Error("the power switch is still on after a power-off from inside")
	}
}

func TestStopStartRemove(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("disk", machine.Options{})
	l.Want("disk", "echo kept >/root/kept && cat /etc/machine-id >/root/id && echo ok", "ok")
	status, err := l.Machines.Stop(t.Context(), "disk")
	l.Must(err)
	if status.State != machine.Stopped || status.Message != "" {
		t.Errorf("after a stop: %+v", status)
	}
	if _, err := l.Machines.Exec(t.Context(), "disk", []string{"true"}, machine.Stdio{}); !errors.Is(err, machine.ErrNotRunning) {
		t.Errorf("command on a stopped machine: %v, want ErrNotRunning", err)
	}
	_, err = l.Machines.Stop(t.Context(), "disk")
	l.Must(err)
	_, err = l.Machines.Start(t.Context(), "disk")
	l.Must(err)
	_, err = l.Machines.Start(t.Context(), "disk")
	l.Must(err)
	l.Want("disk", "cat /root/kept; cmp /etc/machine-id /root/id && echo same", "kept\nsame")
	l.Must(l.Machines.Remove(t.Context(), "disk"))
	l.Must(l.Machines.Remove(t.Context(), "disk"))
	if all, err := l.Machines.List(); err != nil || len(all) != 0 {
		t.Errorf("after the removal there is %v, %v", all, err)
	}
	l.AddMachine("disk", machine.Options{})
	l.Want("disk", "ls /root", "")
}

func TestKilledNspawn(t *testing.T) {
	l := machinetest.New(t)
	before := l.AddMachine("crash", machine.Options{})
	l.Want("crash", "echo kept >/root/kept && sync && echo ok", "ok")
	l.Must(syscall.Kill(parent(t, before.Leader), syscall.SIGKILL))
	l.Eventually("machine is off", func() bool {
		status, err := l.Machines.Status("crash")
		return err == nil && status.State == machine.Stopped && strings.Contains(status.Message, "ended unexpectedly")
	})
	l.Eventually("PID 1 of the machine is gone, too", func() bool {
		return errors.Is(syscall.Kill(before.Leader, 0), syscall.ESRCH)
	})
	_, err := l.Machines.Start(t.Context(), "crash")
	l.Must(err)
	l.Want("crash", "cat /root/kept; systemctl is-system-running", "kept\nrunning")
}

// What was on when the lab went down is on when it comes up again, and nothing else.
func TestNewLabOldDisks(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("stays-on", machine.Options{})
	l.AddMachine("stays-off", machine.Options{})
	_, err := l.Machines.Stop(t.Context(), "stays-off")
	l.Must(err)
	l.Shutdown()
	l.Must(os.Mkdir(filepath.Join(l.Config.Dir, "half-made"), 0o755))
	l.Resume()
	l.Eventually("machine runs", func() bool {
		status, err := l.Machines.Status("stays-on")
		return err == nil && status.State == machine.Running
	})
	if status, err := l.Machines.Status("stays-off"); err != nil || status.State != machine.Stopped {
		t.Errorf("a machine that was off is %+v, %v", status, err)
	}
	if _, err := os.Stat(filepath.Join(l.Config.Dir, "half-made")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a machine that was half made is still there: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	l := machinetest.New(t)
	names := []string{"one", "two", "three"}
	ended := make(chan error, len(names))
	for _, name := range names {
		go func() {
			_, err := l.Machines.Add(t.Context(), name, machine.Options{})
			ended <- err
		}()
	}
	for range names {
		l.Must(<-ended)
	}
	addresses := map[string]bool{}
	all, err := l.Machines.List()
	l.Must(err)
	for _, status := range all {
		addresses[status.Address.String()] = true
		l.Want(status.Name, "hostname -I", status.Address.String())
	}
	if len(addresses) != len(names) {
		t.Errorf("the machines have the addresses %v, want three different ones", addresses)
	}
}

// parent is field 4 of proc_pid_stat(5).
func parent(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	ppid, err := strconv.Atoi(strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))[1])
	if err != nil {
		t.Fatal(err)
	}
	return ppid
}
