package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/hawser-io/hawser/internal/agent/host/account"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/host/glibc"
	"github.com/hawser-io/hawser/internal/agent/host/ledger"
	"github.com/hawser-io/hawser/internal/agent/host/socket"
	"github.com/hawser-io/hawser/internal/agent/host/unit"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/preflight"
)

// Ports that Istio's proxy takes on a host.
const (
	firstPort = 15000
	lastPort  = 15090
)

// Facts finds out what decides whether this host can join a mesh. It changes nothing.
func (h *Host) Facts(ctx context.Context) (preflight.Facts, error) {
	facts := preflight.Facts{
		Root:         os.Geteuid() == 0,
		Systemd:      h.exists("/run/systemd/system"),
		Architecture: runtime.GOARCH,
		Glibc:        glibc.Version(h.options.Root),
		UnitTemplate: slices.ContainsFunc(unitDirectories(), func(d string) bool { return h.exists(filepath.Join(d, "hawser-proxy@.service")) }),
		ReadOnly:     h.readOnly("/var/lib", "/etc", "/run", plan.UnitsDirectory),
		FreeBytes:    h.free(plan.StateDirectory),
	}
	if facts.Systemd {
		facts.SystemdVersion = unit.New(command.Exec{}, h.tree.Path("/proc")).Version(ctx)
	}
	if err := errors.Join(h.accountFacts(&facts), h.listenerFacts(&facts), h.resolverFacts(ctx, &facts), h.trafficFacts(ctx, &facts)); err != nil {
		return facts, fmt.Errorf("look at the host: %w", err)
	}
	return facts, nil
}

func unitDirectories() []string {
	return []string{plan.UnitsDirectory, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

func (h *Host) exists(path string) bool {
	_, err := os.Stat(h.tree.Path(path))
	return err == nil
}

func (h *Host) accountFacts(facts *preflight.Facts) error {
	found, err := account.New(command.Exec{}, h.tree.Path("/etc/passwd"), h.tree.Path("/etc/group")).Look()
	facts.AccountName, facts.AccountNumber = found.User.Name, found.UserNumber
	facts.GroupName, facts.GroupNumber = found.Group.Name, found.GroupNumber
	return err
}

// listenerFacts leaves out Hawser's own proxies, which a join that was cut off has started.
func (h *Host) listenerFacts(facts *preflight.Facts) error {
	started, err := h.ledger.Has(ledger.Unit, plan.SlotA.Unit())
	if err != nil {
		return err
	}
	listeners, err := socket.Listeners(h.tree.Path("/proc"), firstPort, lastPort)
	for _, listener := range listeners {
		if !started || listener.UID != plan.AccountID {
			facts.Listeners = append(facts.Listeners, preflight.Listener{Port: listener.Port, Process: listener.Process, PID: listener.PID})
		}
	}
	return err
}

func (h *Host) resolverFacts(ctx context.Context, facts *preflight.Facts) error {
	seen := plan.Observed{Files: map[string]plan.File{}}
	if err := errors.Join(h.observeFiles(ctx, nil, &seen), h.observeResolver(ctx, nil, &seen)); err != nil {
		return err
	}
	if len(plan.Nameservers(seen.Upstream)) > 0 || seen.Resolver == plan.Resolved {
		facts.Resolver = string(seen.Resolver)
	}
	return nil
}

func (h *Host) trafficFacts(ctx context.Context, facts *preflight.Facts) error {
	facts.NFTables, _ = find("nft")
	facts.IPTables, _ = find("iptables-save")
	var backend plan.Backend
	if backend, facts.RulesDenied = h.trafficState.Backend(ctx); backend != "" {
		facts.RulesDenied = ""
	}
	for _, directory := range unitDirectories() {
		if file := filepath.Join(directory, "istio.service"); h.exists(file) {
			facts.Istio = append(facts.Istio, file)
		}
	}
	if backend == "" {
		return nil
	}
	seen, err := h.trafficState.Observe(ctx, backend == plan.IPTables)
	for _, found := range seen.Backends {
		mine, hasErr := h.ledger.Has(ledger.Rules, string(found))
		if err = errors.Join(err, hasErr); !mine {
			facts.Istio = append(facts.Istio, "traffic rules of Istio's ("+string(found)+")")
		}
	}
	return err
}

func find(program string) (string, error) {
	path, err := command.Find(program)
	if err != nil {
		return "", err
	}
	return path, nil
}

// readOnly returns those of the directories that cannot be written to. A directory that does not exist is judged by its parent.
func (h *Host) readOnly(directories ...string) []string {
	var found []string
	for _, directory := range directories {
		var status syscall.Statfs_t
		err := syscall.Statfs(h.tree.Path(directory), &status)
		if err == nil && status.Flags&syscall.MS_RDONLY != 0 {
			found = append(found, directory)
		}
	}
	return found
}

// free returns the bytes that root may still write below directory, which may be a file system of its own, or not be there yet.
func (h *Host) free(directory string) uint64 {
	for directory != "/" && !h.exists(directory) {
		directory = filepath.Dir(directory)
	}
	var status syscall.Statfs_t
	if err := syscall.Statfs(h.tree.Path(directory), &status); err != nil {
		h.log.Warn("the free space is unknown", "directory", directory, "error", err)
		return 0
	}
	return status.Bavail * uint64(status.Bsize)
}
