package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/lab/internal/api"
	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
	"github.com/hawser-io/hawser/lab/internal/setup"
)

func (a *app) upCommand() *cobra.Command {
	var without []string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Build what is missing and start the lab; does nothing when it runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, part := range without {
				if part != setup.PartMachines && part != setup.PartDemo {
					return fmt.Errorf("--without %s: only %s and %s can be left out", part, setup.PartDemo, setup.PartMachines)
				}
			}
			return a.up(cmd.Context(), without)
		},
	}
	cmd.Flags().StringSliceVar(&without, "without", nil, "leave out parts: demo, machines")
	return cmd
}

func (a *app) up(ctx context.Context, without []string) error {
	lines := newLines(a.errOut)
	current, err := a.ask(ctx)
	if err != nil {
		return err
	}
	if current.Phase == sandbox.Up {
		return a.printReport(current)
	}
	if current.Phase == phaseDown || current.Phase == sandbox.Failed {
		prepared, err := a.prepare(ctx, without, lines)
		if err != nil {
			return err
		}
		if err := a.start(ctx, prepared); err != nil {
			return err
		}
	}
	if current, err = a.follow(ctx, lines); err != nil {
		return err
	}
	return a.printReport(current)
}

// start replaces what is left of an earlier lab by a new one, unless another `up` has just done so.
func (a *app) start(ctx context.Context, prepared setup.Setup) error {
	unlock, err := sandbox.Lock(ctx, a.layout)
	if err != nil {
		return err
	}
	defer unlock()
	current, err := a.ask(ctx)
	if err != nil || current.Phase == sandbox.ComingUp || current.Phase == sandbox.Up {
		return err
	}
	if err := sandbox.Remove(ctx, a.layout); err != nil {
		return err
	}
	program, err := sandboxProgram()
	if err != nil {
		return err
	}
	_, err = sandbox.Start(ctx, a.layout, program, prepared)
	return err
}

// sandboxProgram is what runs inside the sandbox; `make build` puts it beside this program.
func sandboxProgram() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	program := filepath.Join(filepath.Dir(own), "hawser-lab-sandbox")
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("the lab's other program is not beside this one: %w; `make build` makes both", err)
	}
	return program, nil
}

// prepare builds everything that the lab runs.
func (a *app) prepare(ctx context.Context, without []string, lines *lines) (setup.Setup, error) {
	if err := checkPrograms(); err != nil {
		return setup.Setup{}, err
	}
	// Bridged packets pass the nftables of kube-proxy only with this module; where it is built in, modprobe has nothing to do.
	_ = exec.CommandContext(ctx, "modprobe", "br_netfilter").Run()
	cache, source, err := builder()
	if err != nil {
		return setup.Setup{}, err
	}
	out, err := buildAll(ctx, cache, source, lines)
	if err != nil {
		return setup.Setup{}, err
	}
	out.Cache, out.Without = cache.Root(), without
	if err := a.linkTools(out.Artifacts); err != nil {
		return setup.Setup{}, fmt.Errorf("link kubectl and helm: %w", err)
	}
	lines.print("make images")
	group, ctx := errgroup.WithContext(ctx)
	for _, wanted := range out.Images() {
		group.Go(func() error {
			_, err := wanted.Cached(ctx, cache)
			return err
		})
	}
	return out, group.Wait()
}

// buildAll makes the programs and root file systems.
func buildAll(ctx context.Context, cache *build.Cache, source build.Source, lines *lines) (out setup.Setup, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		out.Artifacts, err = cache.All(ctx, source, build.IstioVersions()[0], lines.print)
		return err
	})
	group.Go(func() (err error) {
		out.DemoApp, err = cache.Go(ctx, source, build.DemoApp())
		return err
	})
	group.Go(func() (err error) {
		lines.print("make the root file system of machines")
		out.MachineRoot, err = cache.Debootstrap(ctx, "machine", machine.Packages())
		return err
	})
	return out, group.Wait()
}

// follow prints the steps of a lab that comes up, until it is up or failed.
func (a *app) follow(ctx context.Context, lines *lines) (api.Report, error) {
	seen := map[string]bool{}
	deadline := time.Now().Add(api.BringUpDeadline + time.Minute)
	for silent := 0; ; {
		current, err := a.ask(ctx)
		if err != nil {
			return api.Report{}, err
		}
		for _, step := range current.Steps {
			if key := fmt.Sprint(step.Name, step.Done); !seen[key] {
				seen[key] = true
				lines.step(step)
			}
		}
		switch {
		case current.Phase == sandbox.Up:
			return current, nil
		case current.Phase == sandbox.Failed:
			return api.Report{}, fmt.Errorf("the lab did not come up: %s", current.Reason)
		case current.Phase == phaseDown:
			// The socket is made soon after the start; a lab that has ended never answers.
			if _, running, err := sandbox.Running(a.layout); err != nil || !running {
				if silent++; silent > 5 {
					return api.Report{}, errors.Join(fmt.Errorf("the lab ended at once; see %s", a.layout.Log("init")), err)
				}
			}
		}
		if time.Now().After(deadline) {
			return api.Report{}, errors.New("the lab does not come up; see `hawser-lab status` and `hawser-lab logs init`")
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return api.Report{}, ctx.Err()
		}
	}
}

// checkPrograms looks for what the lab runs and does not build.
func checkPrograms() error {
	packages := map[string]string{
		"containerd": "containerd", "ctr": "containerd", "runc": "runc", "nft": "nftables", "iptables": "iptables",
		"conntrack": "conntrack", "ip": "iproute2", "debootstrap": "debootstrap", "systemd-nspawn": "systemd-container",
		"nsenter": "util-linux", "mount": "mount", "/usr/lib/cni/bridge": "containernetworking-plugins", "go": "Go 1.26 (https://go.dev/dl)",
	}
	var missing []string
	for program, from := range packages {
		if _, err := exec.LookPath(program); err != nil && !slices.Contains(missing, from) {
			missing = append(missing, from)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("the lab needs %s; on Debian: apt-get install %s", strings.Join(missing, ", "), strings.Join(missing, " "))
}
