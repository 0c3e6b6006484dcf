package detour_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/command/commandtest"
	"github.com/hawser-io/hawser/internal/agent/host/detour"
	"github.com/hawser-io/hawser/internal/golden"
)

func addresses(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func TestScripts(t *testing.T) {
	var said strings.Builder
	tables := "table inet istio-proxy-nat\ntable inet hawser-detour\n"
	nft := func(args []string, input string) (string, error) {
		said.WriteString("nft " + strings.Join(args, " ") + "\n" + input + "\n")
		if args[0] == "list" {
			return tables, nil
		}
		return "", nil
	}
	d := detour.New(commandtest.Programs{"nft": nft})
	for _, from := range [][]netip.Addr{addresses("172.31.0.240", "172.31.0.239", "2001:db8::1"), addresses("172.31.0.241", "2001:db8::1")} {
		if err := d.Set(t.Context(), from, netip.MustParseAddr("172.31.0.241")); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Set(t.Context(), addresses("2001:db8::1"), netip.MustParseAddr("2001:db8::2")); err != nil {
		t.Fatal(err)
	}
	for _, tables = range []string{tables, "table inet istio-proxy-nat\n"} {
		if err := d.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	golden.Check(t, "scripts.txt", said.String())
}

func TestHostsThatCannot(t *testing.T) {
	none := detour.New(commandtest.Programs{})
	if err := none.Clear(t.Context()); err != nil {
		t.Errorf("a host without nftables has nothing to clear: %v", err)
	}
	if err := none.Set(t.Context(), addresses("192.0.2.1"), netip.MustParseAddr("192.0.2.2")); err == nil {
		t.Error("a host without nftables has a detour")
	}
	refuses := detour.New(commandtest.Programs{"nft": func([]string, string) (string, error) {
		return "", &commandtest.Exit{Code: 1, Complaint: "Operation not supported"}
	}})
	if err := refuses.Clear(t.Context()); err != nil {
		t.Errorf("a kernel without nftables has nothing to clear: %v", err)
	}
	err := refuses.Set(t.Context(), addresses("192.0.2.1"), netip.MustParseAddr("192.0.2.2"))
	if exit := (*commandtest.Exit)(nil); !errors.As(err, &exit) || !strings.Contains(err.Error(), "Operation not supported") {
		t.Errorf("a kernel without nftables has a detour: %v", err)
	}
	keeps := detour.New(commandtest.Programs{"nft": func(args []string, _ string) (string, error) {
		if args[0] == "list" {
			return "table inet hawser-detour\n", nil
		}
		return "", &commandtest.Exit{Code: 1, Complaint: "Device or resource busy"}
	}})
	if err := keeps.Clear(t.Context()); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("one that stays is no error: %v", err)
	}
}
