package interception

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// tableLookups is Hawser's own. Its chains come before those of Istio's, which lead lookups to slot a: the kernel keeps the zone that a packet got first, and the
// first translation of a connection (linux, net/netfilter/nft_ct.c and nf_nat_core.c).
const tableLookups = "hawser-lookups"

// zoneB is the conntrack zone of lookups that slot b answers. Istio's rules have 1 and 2. In one of its own a lookup is never taken for the one before it of the same
// client's port, which went to the other slot.
const zoneB = 3

// damaged is what Led returns of a table that is not as it was made; nothing that is wanted is called so.
const damaged = "damaged"

// Lead leads lookups, in one transaction of the kernel's.
func (t *Traffic) Lead(ctx context.Context, to plan.Leading) error {
	// Noted first, so that a table is looked for wherever there may be one.
	if err := t.keepAs(t.ledPath(), led{}); err != nil {
		return err
	}
	c := command.New("nft", "-f", "-")
	c.Input = []byte(leadRules(to))
	if _, err := t.options.Runner.Run(ctx, c); err != nil {
		return fmt.Errorf("lead lookups: %w", err)
	}
	if to.String() == (plan.Leading{}).String() {
		return t.forgetAs(t.ledPath())
	}
	table, err := t.listLookups(ctx)
	if err != nil {
		return err
	}
	return t.keepAs(t.ledPath(), led{Leading: to.String(), Fingerprint: fingerprint(table)})
}

// Led returns where lookups are led, as plan.Leading prints it; empty if nothing leads them.
func (t *Traffic) Led(ctx context.Context) (string, error) {
	content, err := os.ReadFile(t.ledPath())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	table, err := t.listLookups(ctx)
	if err != nil || table == "" {
		return "", err
	}
	var kept led
	if json.Unmarshal(content, &kept) != nil || kept.Fingerprint != fingerprint(table) {
		return damaged, nil
	}
	return kept.Leading, nil
}

// listLookups returns the table as text; empty if there is none. A host without the program has none.
func (t *Traffic) listLookups(ctx context.Context) (string, error) {
	table, err := t.listNFTables(ctx, tableLookups)
	if errors.Is(err, exec.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list traffic rules: %w", err)
	}
	return table, nil
}

// leadRules is a file for nft(8) that replaces the table.
func leadRules(to plan.Leading) string {
	var text strings.Builder
	text.WriteString(without(tableLookups))
	if !to.ToB && !to.Answers {
		return text.String()
	}
	port := plan.SlotB.Ports().DNS
	fmt.Fprintf(&text, "table inet %s {\n", tableLookups)
	fmt.Fprintf(&text, "\tchain track {\n\t\ttype filter hook output priority -310; policy accept;\n\t\tmeta skuid %d udp sport %d ct zone set %d\n", plan.AccountID, port, zoneB)
	asks := lookupsOf(to)
	for _, ask := range asks {
		fmt.Fprintf(&text, "\t\t%s udp dport 53 ct zone set %d\n", ask, zoneB)
	}
	text.WriteString("\t}\n")
	if len(asks) > 0 {
		text.WriteString("\tchain lead {\n\t\ttype nat hook output priority -110; policy accept;\n")
		for _, ask := range asks {
			fmt.Fprintf(&text, "\t\t%s udp dport 53 redirect to :%d\n\t\t%[1]s tcp dport 53 redirect to :%[2]d\n", ask, port)
		}
		text.WriteString("\t}\n")
	}
	text.WriteString("}\n")
	return text.String()
}

// lookupsOf matches packets from the host's programs to its nameservers, those of each family.
func lookupsOf(to plan.Leading) []string {
	if !to.ToB {
		return nil
	}
	servers := map[string][]string{}
	for _, server := range to.Nameservers {
		address, err := netip.ParseAddr(server)
		switch {
		case err != nil || address.Zone() != "":
			// Istio's rules do not lead these either.
		case address.Is4():
			servers["ip"] = append(servers["ip"], server)
		default:
			servers["ip6"] = append(servers["ip6"], server)
		}
	}
	var asks []string
	for _, family := range []string{"ip", "ip6"} {
		if len(servers[family]) > 0 {
			asks = append(asks, fmt.Sprintf("meta skuid != %d meta skgid != %[1]d %s daddr { %s }", plan.AccountID, family, strings.Join(servers[family], ", ")))
		}
	}
	return asks
}

// led is what Lead keeps, so that Led can tell whether the table is whole.
type led struct {
	Leading     string `json:"leading"`
	Fingerprint string `json:"fingerprint"`
}

func (t *Traffic) ledPath() string { return filepath.Join(t.options.Directory, "lookups.json") }
