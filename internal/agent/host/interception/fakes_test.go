package interception

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/command/commandtest"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// fakeHost is a kernel with packet filters, a systemd with one timer, and Istio's program that sets rules.
type fakeHost struct {
	*testing.T
	directory string
	// inet are tables of nftables by name; saved the rules of each flavour of iptables, both as the programs print them.
	inet  map[string]string
	saved map[string]string
	// flavour is the one of iptables that istio-iptables chooses.
	flavour string
	// armed is the delay and the command of the timer; empty if there is none.
	armed string
	// programs that the host lacks, and those that the kernel refuses.
	lacks, refuses []string
	// breaks: istio-iptables sets half of its rules and fails.
	breaks bool
	// clings: rules that cannot be removed.
	clings bool
}

func newHost(t *testing.T) *fakeHost {
	return &fakeHost{
		T: t, directory: t.TempDir() + "/run/proxy", flavour: "iptables-nft",
		inet:  map[string]string{"others": "table inet others {\n}\n"},
		saved: map[string]string{"iptables-nft": "*nat\n:DOCKER - [0:0]\n-A OUTPUT -j DOCKER\nCOMMIT\n", "iptables-legacy": ""},
	}
}

func (h *fakeHost) traffic() *Traffic {
	programs := commandtest.Programs{
		"nft": h.nft, "/bin/sh": h.undo, "/versions/1/pilot-agent": h.istioIPTables, "systemd-run": h.systemdRun, "systemctl": h.systemctl,
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, flavour := range []string{"", "-nft", "-legacy"} {
			programs[family+flavour+"-save"] = h.save(family + flavour)
		}
	}
	for _, name := range h.lacks {
		delete(programs, name)
	}
	for _, name := range h.refuses {
		programs[name] = func([]string, string) (string, error) {
			return "", &commandtest.Exit{Code: 1, Complaint: "Operation not permitted"}
		}
	}
	return New(Options{Runner: programs, Directory: h.directory, Delay: time.Second})
}

func (h *fakeHost) nft(args []string, input string) (string, error) {
	switch line := strings.Join(args, " "); {
	case line == "list tables inet":
		var text strings.Builder
		for _, name := range slices.Sorted(maps.Keys(h.inet)) {
			fmt.Fprintf(&text, "table inet %s\n", name)
		}
		return text.String(), nil
	case strings.HasPrefix(line, "--stateless --numeric list table inet "):
		return h.inet[args[len(args)-1]], nil
	case line == "-f -":
		for text := range strings.Lines(input) {
			if name, found := strings.CutPrefix(strings.TrimSpace(text), "delete table inet "); found {
				delete(h.inet, name)
			}
		}
		if _, table, found := strings.Cut(input, "\n"+"table inet "); found {
			name, _, _ := strings.Cut(table, " ")
			h.inet[name] = "table inet " + table
		}
		return "", nil
	default:
		return "", errors.New("nft " + line)
	}
}

func (h *fakeHost) save(flavour string) commandtest.Program {
	return func([]string, string) (string, error) {
		if flavour == "iptables" {
			return h.saved["iptables-nft"], nil
		}
		return h.saved[flavour], nil
	}
}

// undo is what undo.sh does; tests in the lab run it.
func (h *fakeHost) undo(args []string, input string) (string, error) {
	if strings.Join(args, " ") != "-s "+args[1] || input != undoScript {
		return "", fmt.Errorf("sh %q", args)
	}
	if h.clings {
		return "", nil
	}
	maps.DeleteFunc(h.inet, func(name, _ string) bool { return strings.HasPrefix(name, "istio-proxy-") || name == tableLookups })
	if args[1] == string(plan.IPTables) {
		for flavour, saved := range h.saved {
			var kept strings.Builder
			for line := range strings.Lines(saved) {
				if !strings.Contains(line, "ISTIO_") {
					kept.WriteString(line)
				}
			}
			h.saved[flavour] = kept.String()
		}
	}
	return "", nil
}

func (h *fakeHost) istioIPTables(args []string, _ string) (string, error) {
	if slices.Contains(args, "--native-nftables") {
		h.inet[tableNAT] = "table inet istio-proxy-nat {\n " + strings.Join(args, " ") + "\n}\n"
		if h.breaks {
			return "", &commandtest.Exit{Code: 1, Complaint: "no such chain"}
		}
		if slices.Contains(args, "--redirect-dns") {
			h.inet[tableRaw] = "table inet istio-proxy-raw {\n}\n"
		}
		return "", nil
	}
	if strings.Contains(h.saved["iptables-nft"]+h.saved["iptables-legacy"], "ISTIO_") {
		return "", &commandtest.Exit{Code: 1, Complaint: "leftovers of another run"}
	}
	h.saved[h.flavour] += ":ISTIO_OUTPUT - [12:345]\n-A OUTPUT -j ISTIO_OUTPUT\n-A ISTIO_OUTPUT -m comment --comment \"" + args[1] + "\" -j RETURN\n"
	return "", nil
}

func (h *fakeHost) systemdRun(args []string, _ string) (string, error) {
	if h.armed != "" {
		return "", &commandtest.Exit{Code: 1, Complaint: "Unit hawser-interception-undo.timer already exists."}
	}
	script := args[len(args)-2]
	if content, err := os.ReadFile(script); err != nil || string(content) != undoScript {
		return "", fmt.Errorf("the script is not there: %v", err)
	}
	for _, arg := range args {
		if delay, found := strings.CutPrefix(arg, "--on-active="); found {
			h.armed = delay + " " + args[len(args)-1]
		}
	}
	return "", nil
}

func (h *fakeHost) systemctl(args []string, _ string) (string, error) {
	if strings.Join(args, " ") != "stop "+SwitchUnit {
		return "", fmt.Errorf("systemctl %q", args)
	}
	if h.armed == "" {
		return "", &commandtest.Exit{Code: 5, Complaint: "Unit not loaded."}
	}
	h.armed = ""
	return "", nil
}

// String is what a test compares.
func (h *fakeHost) String() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.inet)) {
		text.WriteString(h.inet[name])
	}
	for _, flavour := range slices.Sorted(maps.Keys(h.saved)) {
		fmt.Fprintf(&text, "%s:\n%s", flavour, h.saved[flavour])
	}
	fmt.Fprintf(&text, "armed: %s\n", h.armed)
	return text.String()
}
