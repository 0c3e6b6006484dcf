package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hawser-io/hawser/lab/internal/machine"
)

// Host is a machine of the demonstration.
type Host struct {
	Name string
	// Resolved is whether the machine uses systemd-resolved.
	Resolved bool
	// Service is what runs on it.
	Service Service
}

// Service is a service that runs on machines.
type Service struct {
	// Name is that of the WorkloadGroup and the Service in the namespace shop.
	Name        string
	description string
	args        string
}

// Hosts are the machines of the demonstration: two of one service, one of them with systemd-resolved, and one of a
// service that is not HTTP.
func Hosts() []Host {
	ratings := Service{
		Name: "ratings", description: "Ratings of the demonstration shop",
		args: "serve --app=ratings --version=v1 --listen=:9080 --call=http://catalog:9080/",
	}
	db := Service{Name: "legacy-db", description: "Database of the demonstration shop", args: "lines --listen=:7001"}
	return []Host{
		{Name: "ratings-vm-1", Service: ratings},
		{Name: "ratings-vm-2", Service: ratings, Resolved: true},
		{Name: "legacy-db", Service: db},
	}
}

// Unit is the name of the service's systemd unit.
func (s Service) Unit() string { return "demo-" + s.Name + ".service" }

// unitText is the systemd unit as an application's owner would write it.
func (s Service) unitText() string {
	return fmt.Sprintf(`[Unit]
Description=%s
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=%s %s
DynamicUser=yes
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
`, s.description, binaryPath, s.args)
}

// binaryPath is where the application is on a machine.
const binaryPath = "/usr/local/bin/hawser-demo-app"

// Machines copies files into running machines and runs commands there.
type Machines interface {
	Copy(ctx context.Context, source, name, target string) error
	Exec(ctx context.Context, name string, argv []string, stdio machine.Stdio) (int, error)
}

var _ Machines = (*machine.Store)(nil)

// installScript puts the staged files in place, each at once and only where they differ, and has the unit run what is
// there. $1 is the unit, $2 the staging folder, $3 the application's path.
const installScript = `set -eu
changed=no
put() {
	cmp -s "$1" "$2" && return
	install -m "$3" "$1" "$2.new"
	mv "$2.new" "$2"
	changed=yes
}
put "$2/hawser-demo-app" "$3" 0755
put "$2/$1" "/etc/systemd/system/$1" 0644
rm -r "$2"
systemctl daemon-reload
systemctl enable --quiet "$1"
if [ $changed = yes ]; then systemctl restart "$1"; else systemctl start "$1"; fi
`

// Install makes a service run on a machine, now and at each boot. It may be repeated, also with a newer binary; what is
// up to date already goes on undisturbed.
func Install(ctx context.Context, machines Machines, name string, service Service, binary string) (err error) {
	staged, err := os.MkdirTemp("", "hawser-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staged)) }()
	unit := filepath.Join(staged, service.Unit())
	if err := os.WriteFile(unit, []byte(service.unitText()), 0o644); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	const staging = "/run/hawser-demo"
	var said bytes.Buffer
	run := func(argv ...string) error {
		code, err := machines.Exec(ctx, name, argv, machine.Stdio{Out: &said, Err: &said})
		if err == nil && code != 0 {
			err = fmt.Errorf("demo: install %s on %s: %s", service.Name, name, strings.TrimSpace(said.String()))
		}
		return err
	}
	if err := run("mkdir", "-p", staging); err != nil {
		return err
	}
	for source, target := range map[string]string{binary: "hawser-demo-app", unit: service.Unit()} {
		if err := machines.Copy(ctx, source, name, staging+"/"+target); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	return run("sh", "-c", installScript, "install", service.Unit(), staging, binaryPath)
}
