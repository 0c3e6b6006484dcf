//go:build lab

package demo_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hawser-io/hawser/lab/internal/demo"
	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/machine/machinetest"
)

func TestServicesRunOnMachines(t *testing.T) {
	l := machinetest.New(t)
	binary := os.Getenv(binaryVariable)
	for _, host := range demo.Hosts() {
		l.AddMachine(host.Name, machine.Options{Resolved: host.Resolved})
		l.Must(demo.Install(t.Context(), l.Machines, host.Name, host.Service, binary))
	}
	const ask = `/usr/local/bin/hawser-demo-app get `
	l.Eventually("all services answer", func() bool {
		_, one := l.Shell("ratings-vm-1", ask+"http://172.31.0.11:9080/healthz")
		_, two := l.Shell("ratings-vm-1", ask+"http://172.31.0.12:9080/healthz")
		_, db := l.Shell("ratings-vm-1", ask+"tcp://172.31.0.13:7001")
		return one+two+db == 0
	})
	l.Want("ratings-vm-1", ask+"http://172.31.0.12:9080/", `{"app":"ratings","host":"ratings-vm-2","version":"v1"}`)
	l.Want("ratings-vm-1", ask+"tcp://172.31.0.13:7001", "legacy-db")
	l.WantFailure("ratings-vm-1", ask+"http://127.0.0.1:9080/call") // no mesh, no catalog
	l.Want("ratings-vm-1", "systemctl stop demo-ratings && echo stopped", "stopped")

	_, err := l.Machines.Reboot(t.Context(), "ratings-vm-1")
	l.Must(err)
	l.Eventually("the service is back after a reboot", func() bool {
		_, code := l.Shell("ratings-vm-1", ask+"http://127.0.0.1:9080/healthz")
		return code == 0
	})
}

func TestInstallAgain(t *testing.T) {
	l := machinetest.New(t)
	host, binary := demo.Hosts()[0], os.Getenv(binaryVariable)
	l.AddMachine(host.Name, machine.Options{})
	install := func(binary string) string {
		l.Must(demo.Install(t.Context(), l.Machines, host.Name, host.Service, binary))
		pid, _ := l.Shell(host.Name, "systemctl show -P MainPID demo-ratings")
		return pid
	}
	first := install(binary)
	if second := install(binary); second != first {
		t.Errorf("the same binary restarted the service: process %s became %s", first, second)
	}
	newer := filepath.Join(t.TempDir(), "newer")
	content, err := os.ReadFile(binary)
	l.Must(err)
	l.Must(os.WriteFile(newer, append(content, '\n'), 0o755))
	if third := install(newer); third == first {
		t.Errorf("a newer binary did not restart the service: process %s", third)
	}
}
