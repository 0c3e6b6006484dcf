package interception

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Runner runs programs; command.Exec does.
type Runner interface {
	Run(ctx context.Context, c command.Command) ([]byte, error)
}

// Options of a Traffic.
type Options struct {
	Runner Runner
	// Directory is on a file system that a reboot forgets, as it forgets the rules. It is made when it is needed.
	Directory string
	// Files writes in it.
	Files atomicfile.Writer
	// Delay of the dead man's switch, from before the rules are set; 0: DefaultDelay.
	Delay time.Duration
}

// Traffic is the host's packet filter, as far as it is Istio's.
type Traffic struct{ options Options }

// New returns the traffic rules of this host. It does no I/O.
func New(options Options) *Traffic {
	options.Delay = cmp.Or(options.Delay, DefaultDelay)
	return &Traffic{options: options}
}

//go:embed undo.sh
var undoScript string

// tables that istio-iptables makes with --native-nftables, family inet (istio.io/istio, tools/istio-nftables/pkg/constants).
const (
	tableNAT    = "istio-proxy-nat"
	tableMangle = "istio-proxy-mangle"
	tableRaw    = "istio-proxy-raw"
)

// Backend tells by which of the kernel's interfaces rules can be set; denied says why not, where a program is there but the
// kernel refuses.
func (t *Traffic) Backend(ctx context.Context) (backend plan.Backend, denied string) {
	for _, try := range []struct {
		backend plan.Backend
		name    string
		args    []string
	}{
		{plan.NFTables, "nft", []string{"list", "tables", "inet"}},
		{plan.IPTables, "iptables-save", nil},
	} {
		if _, err := command.Find(try.name); err != nil {
			continue
		}
		if _, err := t.options.Runner.Run(ctx, command.New(try.name, try.args...)); err != nil {
			denied = err.Error()
			continue
		}
		return try.backend, ""
	}
	return "", denied
}

// Observe returns what is in the kernel. alsoIPTables is for hosts that have rules by iptables, or may have: asking it makes
// empty tables in the kernel.
func (t *Traffic) Observe(ctx context.Context, alsoIPTables bool) (plan.Interception, error) {
	var seen plan.Interception
	record := t.record()
	backends := []plan.Backend{plan.NFTables}
	if alsoIPTables {
		backends = append(backends, plan.IPTables)
	}
	for _, backend := range backends {
		rules, err := t.list(ctx, backend)
		if err != nil {
			return seen, err
		}
		if rules == "" {
			continue
		}
		seen.Backends = append(seen.Backends, backend)
		if record.Backend == backend {
			seen.Applied = record.Applied
			seen.Whole = record.Fingerprint == fingerprint(rules)
		}
	}
	return seen, nil
}

// Apply sets the rules. The dead man's switch is set first: unless Disarm follows, they are taken away again.
func (t *Traffic) Apply(ctx context.Context, program string, rules plan.Rules) error {
	if err := t.arm(ctx, rules.Backend); err != nil {
		return err
	}
	if err := t.forget(); err != nil {
		return err
	}
	if rules.Backend == plan.IPTables {
		// istio-iptables sets no rule where others of its own are.
		if err := t.remove(ctx, rules.Backend); err != nil {
			return err
		}
	}
	c := command.New(program, append([]string{"istio-iptables"}, rules.Flags...)...)
	if _, err := t.options.Runner.Run(ctx, c); err != nil {
		return errors.Join(fmt.Errorf("set traffic rules: %w", err), t.remove(context.WithoutCancel(ctx), rules.Backend))
	}
	if err := t.removeUnused(ctx, rules); err != nil {
		return err
	}
	listed, err := t.list(ctx, rules.Backend)
	if err != nil {
		return err
	}
	return t.keep(applied{Backend: rules.Backend, Applied: rules.String(), Fingerprint: fingerprint(listed)})
}

// removeUnused takes tables of earlier rules away: istio-iptables empties only the tables that it fills.
func (t *Traffic) removeUnused(ctx context.Context, rules plan.Rules) error {
	if rules.Backend != plan.NFTables {
		return nil
	}
	unused := []string{tableMangle}
	if len(rules.Nameservers) == 0 {
		unused = append(unused, tableRaw)
	}
	for _, table := range unused {
		c := command.New("nft", "-f", "-")
		c.Input = []byte(without(table))
		if _, err := t.options.Runner.Run(ctx, c); err != nil {
			return fmt.Errorf("remove unused traffic rules: %w", err)
		}
	}
	return nil
}

// without removes a table, in the words of nft(8). Adding it first makes the deletion succeed where there is none.
func without(table string) string {
	return fmt.Sprintf("add table inet %s\ndelete table inet %[1]s\n", table)
}

// Remove takes the rules away and disarms the switch. Nothing being there is fine.
func (t *Traffic) Remove(ctx context.Context, backend plan.Backend) error {
	return errors.Join(t.remove(ctx, backend), t.Disarm(ctx), t.forget())
}

func (t *Traffic) remove(ctx context.Context, backend plan.Backend) error {
	c := command.New("/bin/sh", "-s", string(backend))
	c.Input = []byte(undoScript)
	if _, err := t.options.Runner.Run(ctx, c); err != nil {
		return fmt.Errorf("remove traffic rules: %w", err)
	}
	left, err := t.list(ctx, backend)
	if err == nil && left != "" {
		err = fmt.Errorf("remove traffic rules: some are still there (%s); nft list ruleset and iptables-save show them", firstLine(left))
	}
	return err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
