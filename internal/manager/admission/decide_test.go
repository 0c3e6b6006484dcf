package admission

import (
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

func at() time.Time { return time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC) }

// vm is machine shop/vm, admitted at ten with the key "mine".
func vm() facts.Machine {
	return facts.Machine{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "vm"}, Group: "ratings", KeyFingerprint: "mine"}
}

func forgotten() identity.Stamp {
	return identity.Stamp{Book: "0123456789abcdef", Term: "fedcba9876543210", Place: 1, Number: at().UnixMilli()}
}

func TestDecide(t *testing.T) {
	mine := func(changes ...func(*v1alpha1.Machine)) *v1alpha1.Machine {
		machine := NewMachine(vm(), at().Add(-time.Hour))
		for _, change := range changes {
			change(machine)
		}
		return machine
	}
	others := func(m *v1alpha1.Machine) { m.Spec.KeyFingerprint = "other" }
	revoked := func(m *v1alpha1.Machine) { m.Spec.Revoked = true }
	deleted := func(m *v1alpha1.Machine) { m.DeletionTimestamp = &meta.Time{Time: at()} }
	later := func(m *v1alpha1.Machine) { Admitted(m, at().Add(time.Hour)) }
	same := func(m *v1alpha1.Machine) { Admitted(m, at()) }
	older := func(m *v1alpha1.Machine) { m.Annotations = nil }
	moved := func(m *v1alpha1.Machine) { m.Spec.Group = "reviews" }
	for name, c := range map[string]struct {
		existing *v1alpha1.Machine
		group    bool
		want     action
	}{
		"none":                                     {nil, true, create},
		"none-and-no-group":                        {nil, false, awaitGroup},
		"its-own":                                  {mine(), true, finish},
		"its-own-and-no-group":                     {mine(), false, finish},
		"its-own-of-an-older-manager":              {mine(older), true, finish},
		"its-own-revoked":                          {mine(revoked), true, refuse},
		"its-own-deleted":                          {mine(deleted), true, settle},
		"anothers-before":                          {mine(others), true, rekey},
		"anothers-before-and-no-group":             {mine(others), false, rekey},
		"anothers-since":                           {mine(others, later), true, settle},
		"anothers-at-the-same-time":                {mine(others, same), true, settle},
		"anothers-nobody-knows-when":               {mine(others, older), true, refuse},
		"anothers-revoked":                         {mine(others, revoked), true, refuse},
		"anothers-revoked-and-deleted":             {mine(others, revoked, deleted), true, refuse},
		"anothers-deleted":                         {mine(others, deleted), true, awaitDeletion},
		"anothers-before-in-another-group":         {mine(others, moved), true, refuse},
		"anothers-since-in-another-group":          {mine(others, moved, later), true, settle},
		"anothers-of-another-group-revoked-before": {mine(others, moved, revoked), true, refuse},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decide(vm(), forgotten(), c.existing, c.group); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
