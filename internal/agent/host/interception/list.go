package interception

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// list returns Istio's rules as text, without counters; empty if there are none. A host without the program has none.
func (t *Traffic) list(ctx context.Context, backend plan.Backend) (string, error) {
	var text string
	var err error
	if backend == plan.NFTables {
		text, err = t.listNFTables(ctx, tableNAT, tableMangle, tableRaw)
	} else {
		text, err = t.listIPTables(ctx)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list traffic rules: %w", err)
	}
	return text, nil
}

// listNFTables returns those of the named tables that there are.
func (t *Traffic) listNFTables(ctx context.Context, names ...string) (string, error) {
	tables, err := t.options.Runner.Run(ctx, command.New("nft", "list", "tables", "inet"))
	if err != nil {
		return "", err
	}
	var rules strings.Builder
	for line := range strings.Lines(string(tables)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || !slices.Contains(names, fields[2]) {
			continue
		}
		table, err := t.options.Runner.Run(ctx, command.New("nft", "--stateless", "--numeric", "list", "table", "inet", fields[2]))
		if err != nil {
			return "", err
		}
		rules.Write(table)
	}
	return rules.String(), nil
}

// listIPTables keeps the lines of Istio's chains and the jumps into them. Other programs' rules come and go.
//
// It asks each flavour of iptables that the host has: istio-iptables chooses one by itself, and not always the same, since
// its own probing makes tables of the other (istio.io/istio, tools/istio-iptables/pkg/dependencies, DetectIptablesVersion).
func (t *Traffic) listIPTables(ctx context.Context) (string, error) {
	var found strings.Builder
	missing := true
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, flavour := range []string{"", "-nft", "-legacy"} {
			program := family + flavour + "-save"
			out, err := t.options.Runner.Run(ctx, command.New(program))
			if errors.Is(err, exec.ErrNotFound) {
				continue
			}
			if err != nil && flavour == "" {
				return "", err
			}
			// A kernel that lacks a flavour has no rules of it.
			missing = false
			found.WriteString(istioRules(program, string(out)))
		}
	}
	if missing {
		return "", exec.ErrNotFound
	}
	return found.String(), nil
}

func istioRules(program, saved string) string {
	var found strings.Builder
	table := ""
	for line := range strings.Lines(saved) {
		if strings.HasPrefix(line, "*") {
			table = program + " " + strings.TrimSpace(line)
		}
		if strings.HasPrefix(line, ":ISTIO_") || strings.HasPrefix(line, "-A ") && strings.Contains(line, "ISTIO_") {
			// The counters of a chain are not part of the rules.
			line, _, _ := strings.Cut(strings.TrimSpace(line), " [")
			found.WriteString(table + " " + line + "\n")
		}
	}
	return found.String()
}

// fingerprint tells whether the rules are the same as they were.
func fingerprint(rules string) string {
	sum := sha256.Sum256([]byte(rules))
	return hex.EncodeToString(sum[:])
}
