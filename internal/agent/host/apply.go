package host

import (
	"context"
	"fmt"
	"net"
	"path"
	"strconv"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/host/glibc"
	"github.com/hawser-io/hawser/internal/agent/host/interception"
	"github.com/hawser-io/hawser/internal/agent/host/socket"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// readyTime is how long a started proxy may take to fetch its certificate and configuration.
const readyTime = 30 * time.Second

// Apply takes one step. What it is going to make or change is in the ledger before.
func (h *Host) Apply(ctx context.Context, step plan.Step) error {
	if err := h.Record(ctx, step); err != nil {
		return err
	}
	h.files.Step("step: " + step.String())
	switch s := step.(type) {
	case plan.CreateAccount:
		return h.tree.Explain(h.users.Create(ctx), accountDatabases()...)
	case plan.MakeDirectory:
		return h.tree.MakeDirectory(s.Path, s.Mode, file.Number(s.Owner))
	case plan.WriteFile:
		return h.write(s)
	case plan.Link:
		return h.tree.Link(s.Path, s.Target, file.Number(s.Owner))
	case plan.InstallVersion:
		return h.install(ctx, s)
	case plan.RemoveVersion:
		return h.tree.Insist(plan.VersionsDirectory, func() error { return h.versions.Remove(s.Digest) })
	case plan.Unmask:
		return h.tree.Remove(s.Path)
	default:
		return h.applyService(ctx, step)
	}
}

// applyService takes the steps that act on running parts of the host.
func (h *Host) applyService(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.ForgetCertificate:
		return h.forget(s)
	case plan.EndConnections:
		return h.endConnections(s)
	case plan.ReloadUnits:
		return h.unitStates.Reload(ctx)
	case plan.StartProxy:
		return h.unitControl.Start(ctx, s.Slot.Unit())
	case plan.RestartProxy:
		return h.unitControl.Restart(ctx, s.Slot.Unit())
	case plan.AwaitProxy:
		return h.await(ctx, s.Slot)
	case plan.StartBeside:
		return h.startBeside(ctx, s.Slot)
	case plan.MigrateRequests:
		return h.migrateRequests()
	case plan.DrainProxy:
		return h.drain(ctx, s)
	case plan.StopProxy:
		return h.retire(ctx, s.Slot)
	case plan.LeadLookups:
		return h.leading.Lead(ctx, s.To)
	case plan.Intercept:
		program := h.tree.Path(path.Join(plan.VersionDirectory(s.Rules.Digest), "pilot-agent"))
		return h.trafficRules.Apply(ctx, program, s.Rules)
	case plan.ConfirmInterception:
		return h.confirm(ctx, s.Rules)
	case plan.EndInterception:
		return h.trafficRules.Remove(ctx, s.Backend)
	case plan.RouteLookups:
		return h.lookups.Set(ctx, s.Lookups)
	case plan.EndLookups:
		return h.lookups.Remove(ctx)
	default:
		return fmt.Errorf("step %T is of no known kind: the plan is newer than this agent's host code", step)
	}
}

func (h *Host) write(s plan.WriteFile) error {
	if s.Block {
		return h.tree.Edit(s.Path, s.Content)
	}
	return h.tree.Write(s.Path, s.Content, s.Mode, file.Number(s.Owner))
}

// GlibcError: the proxy's binaries need a newer GNU C library than the host has.
type GlibcError struct{ Have, Need string }

func (e *GlibcError) Error() string {
	if e.Have == "" {
		return fmt.Sprintf("the proxy needs the GNU C library %s or newer, this host has none; use a distribution with glibc", e.Need)
	}
	return fmt.Sprintf("the proxy needs the GNU C library %s or newer, this host has %s; upgrade the operating system, or follow an Istio revision whose proxy is built for an older one", e.Need, e.Have)
}

func (h *Host) install(ctx context.Context, s plan.InstallVersion) error {
	if have := glibc.Version(h.options.Root); s.MinGlibc != "" && glibc.Older(have, s.MinGlibc) {
		return &GlibcError{Have: have, Need: s.MinGlibc}
	}
	return h.tree.Insist(plan.VersionsDirectory, func() error { return h.versions.Install(ctx, s.Digest, s.Files) })
}

const portSSH = 22

func (h *Host) confirm(ctx context.Context, rules plan.Rules) error {
	reach := interception.Reach{Manager: h.options.Reachable}
	listeners, err := socket.Listeners(h.tree.Path("/proc"), portSSH, portSSH)
	if err != nil {
		return err
	}
	if len(listeners) > 0 {
		own, err := h.address(ctx)
		if err != nil {
			return err
		}
		reach.SSH = net.JoinHostPort(own, strconv.Itoa(portSSH))
	}
	return h.trafficRules.Confirm(ctx, rules, reach)
}
