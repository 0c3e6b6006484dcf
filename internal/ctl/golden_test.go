package ctl

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
)

func noon() time.Time { return time.Date(2026, 8, 27, 12, 0, 0, 0, time.UTC) }

// page returns a tool and a function that compares what it wrote with a golden file, 80 columns wide at most.
func page(t *testing.T) (*tool, func(name string)) {
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	return &tool{IOStreams: streams, kube: genericclioptions.NewConfigFlags(true), now: noon}, func(name string) {
		t.Helper()
		for _, line := range strings.Split(out.String(), "\n") {
			if len(line) > 80 && !strings.HasPrefix(line, "echo hawser_") {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
		golden.Check(t, name, out.String())
	}
}

// serverTable has the columns of the kind Machine.
func serverTable(t *testing.T, rows ...[]any) *metav1.Table {
	t.Helper()
	table := &metav1.Table{}
	for _, name := range []string{"Name", "Group", "Address", "Connected", "Ready", "Revision", "Proxy", "Age", "Agent", "OS", "Reason"} {
		column := metav1.TableColumnDefinition{Name: name, Type: "string"}
		if len(table.ColumnDefinitions) >= 8 {
			column.Priority = 1
		}
		table.ColumnDefinitions = append(table.ColumnDefinitions, column)
	}
	for _, cells := range rows {
		about, err := json.Marshal(metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: cells[0].(string)}})
		if err != nil {
			t.Fatal(err)
		}
		table.Rows = append(table.Rows, metav1.TableRow{Cells: cells, Object: runtime.RawExtension{Raw: about}})
	}
	return table
}

func TestMachinesFitInto80Columns(t *testing.T) {
	tool, compare := page(t)
	show := tool.machineRows(&query{output: &output{}})
	first := serverTable(t,
		[]any{"legacy-db", "legacy-db", "172.31.0.13", "True", "True", "default", "1.31.0", "2m", "0.1.0", "Debian GNU/Linux 12 (bookworm)", "Ready"},
		[]any{"ratings-vm-1", "ratings", "172.31.0.11", "True", "False", "default", "1.31.0", "2m", "0.1.0", "Debian GNU/Linux 12 (bookworm)", "ProbeFailed"},
		[]any{"ratings-vm-2", "ratings", nil, nil, nil, "", "", "3s", nil, nil, nil})
	if err := show(first, false); err != nil {
		t.Fatal(err)
	}
	// What a watch adds: without columns.
	gone := serverTable(t, []any{"legacy-db", "legacy-db", "172.31.0.13", "False", "False", "default", "1.31.0", "3m", "", "", ""})
	gone.ColumnDefinitions = nil
	if err := show(gone, true); err != nil {
		t.Fatal(err)
	}
	compare("machines.txt")
}

func TestGroups(t *testing.T) {
	group := func(name, network, account string) unstructured.Unstructured {
		template := map[string]any{"network": network}
		if account != "" {
			template["serviceAccount"] = account
		}
		return unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": "shop", "name": name, "creationTimestamp": "2026-08-27T11:00:00Z"},
			"spec":     map[string]any{"template": template},
		}}
	}
	machine := func(group string, healthy metav1.ConditionStatus, revision string) v1alpha1.Machine {
		return v1alpha1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: v1alpha1.MachineSpec{Group: group},
			Status: v1alpha1.MachineStatus{Revision: revision, Conditions: []metav1.Condition{
				{Type: v1alpha1.ConditionConnected, Status: metav1.ConditionTrue}, {Type: v1alpha1.ConditionHealthy, Status: healthy}}}}
	}
	elsewhere := machine("ratings", metav1.ConditionTrue, "other")
	elsewhere.Namespace = "bank"
	rows := countMachines(
		[]unstructured.Unstructured{group("ratings", "vm-net", "ratings"), group("legacy-db", "", "")},
		[]v1alpha1.Machine{machine("ratings", metav1.ConditionTrue, "default"), machine("ratings", metav1.ConditionFalse, "1-31"), elsewhere}, noon())
	tool, compare := page(t)
	show := tool.groupRows(&query{output: &output{}, all: true})
	for range 2 { // The second time nothing has changed.
		if err := show(rows); err != nil {
			t.Fatal(err)
		}
	}
	compare("groups.txt")
}

func TestTokens(t *testing.T) {
	token := func(name string, life time.Duration, max int32, uses int, change func(*v1alpha1.JoinTokenSpec)) v1alpha1.JoinToken {
		made := v1alpha1.JoinToken{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec: v1alpha1.JoinTokenSpec{Group: "ratings", MaxUses: max, ExpiresAt: metav1.NewTime(noon().Add(life))}}
		for range uses {
			made.Status.Uses = append(made.Status.Uses, v1alpha1.JoinTokenUse{Machine: "ratings-vm-1"})
		}
		if change != nil {
			change(&made.Spec)
		}
		return made
	}
	tool, compare := page(t)
	err := tool.printTokens([]v1alpha1.JoinToken{
		token("expired000", -time.Hour, 1, 0, nil),
		token("active0000", 59*time.Minute, 1, 0, func(s *v1alpha1.JoinTokenSpec) { s.Hostname = "ratings-vm-2" }),
		token("used000000", 30*time.Minute, 1, 1, nil),
		token("revoked000", 20*time.Minute, 20, 1, func(s *v1alpha1.JoinTokenSpec) { s.Revoked, s.CIDRs = true, []string{"10.0.0.0/8", "fd00::/8"} }),
	}, false, false)
	if err != nil {
		t.Fatal(err)
	}
	compare("tokens.txt")
}

func TestInstructions(t *testing.T) {
	token := jointoken.New("shop", identity.Pin{})
	for name, change := range map[string]func(*v1alpha1.JoinTokenSpec){
		"one":  func(*v1alpha1.JoinTokenSpec) {},
		"many": func(s *v1alpha1.JoinTokenSpec) { s.MaxUses, s.CIDRs = 20, []string{"10.1.0.0/16", "10.2.0.0/16"} },
		"host": func(s *v1alpha1.JoinTokenSpec) { s.Hostname = "ratings-vm-1" },
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.JoinToken{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "k3j9x0q2ab"}, Spec: v1alpha1.JoinTokenSpec{Group: "ratings", MaxUses: 1}}
			change(&object.Spec)
			made := newIssued(token, object, "gateway.example.com:15012", 90*time.Minute)
			text := strings.ReplaceAll(made.instructions(), token.Reveal(), "hawser_TOKEN")
			tool, compare := page(t)
			if _, err := tool.Out.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			compare("instructions-" + name + ".txt")
		})
	}
}

func TestLife(t *testing.T) {
	for text, d := range map[string]time.Duration{"1h": time.Hour, "1h30m": 90 * time.Minute, "10m": 10 * time.Minute, "1m30s": 90 * time.Second, "720h": 720 * time.Hour} {
		if got := life(d); got != text {
			t.Errorf("life(%s) = %s, want %s", d, got, text)
		}
	}
}
