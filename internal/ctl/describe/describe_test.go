package describe

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/golden"
)

func now() time.Time { return time.Date(2026, 8, 27, 12, 0, 0, 0, time.UTC) }

func before(d time.Duration) metav1.Time { return metav1.NewTime(now().Add(-d)) }

func at(d time.Duration) *metav1.Time {
	t := metav1.NewTime(now().Add(d))
	return &t
}

func condition(kind string, status metav1.ConditionStatus, reason, message string, since time.Duration) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: before(since)}
}

func joined3Hours() *v1alpha1.Machine {
	return &v1alpha1.Machine{
		ObjectMeta: metav1.ObjectMeta{Name: "ratings-vm-1", Namespace: "shop", CreationTimestamp: before(3 * time.Hour)},
		Spec:       v1alpha1.MachineSpec{Group: "ratings", KeyFingerprint: strings.Repeat("5f", 32), MachineID: "0f343b0931126a20f133d67c2b018a3b"},
		Status: v1alpha1.MachineStatus{
			Address: "172.31.0.11", Addresses: []string{"172.31.0.11", "10.0.0.7", "fd00:1234:5678:9abc:def0:1234:5678:9abc", "fd00:1234:5678:9abc:def0:1234:5678:9abd"},
			WorkloadEntry: "ratings-vm-1", Revision: "default", Hostname: "Ratings-VM-1",
			DesiredGeneration: strings.Repeat("c4", 32), AppliedGeneration: strings.Repeat("c4", 32),
			Proxy:        &v1alpha1.MachineProxy{Version: "1.31.0", ImageDigest: "sha256:" + strings.Repeat("ab", 32), Slot: "a", Ready: true},
			Connection:   &v1alpha1.MachineConnection{Manager: "hawser-manager-5d9c7b7d4-x2x7p", Session: "s", Since: before(20 * time.Minute)},
			AgentVersion: "0.1.0", OperatingSystem: "Debian GNU/Linux 12 (bookworm)", KernelVersion: "6.1.0-37-amd64", Architecture: "amd64",
			AgentCertificateExpiry: at(21 * time.Hour), ProxyCertificateExpiry: at(23 * time.Hour),
			Conditions: []metav1.Condition{
				condition(v1alpha1.ConditionConnected, metav1.ConditionTrue, "Streaming", "", 20*time.Minute),
				condition(v1alpha1.ConditionHealthy, metav1.ConditionTrue, "ProbeSucceeded", "", 2*time.Hour),
				condition(v1alpha1.ConditionReady, metav1.ConditionTrue, "Ready", "", 20*time.Minute),
			},
		},
	}
}

func entry() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "ratings-vm-1"},
		"spec": map[string]any{"address": "172.31.0.11", "network": "vm-net", "serviceAccount": "ratings", "weight": int64(2),
			"ports": map[string]any{"tcp": int64(9081), "http": int64(9080)}},
	}}
}

func TestDescribe(t *testing.T) {
	sick := joined3Hours()
	sick.Status.Hostname = "renamed.example.org"
	sick.Status.AppliedGeneration = strings.Repeat("0d", 32)
	sick.Status.ProxyCertificateExpiry = at(-2 * time.Minute)
	sick.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionConnected, metav1.ConditionTrue, "Streaming", "", 20*time.Minute),
		condition(v1alpha1.ConditionHealthy, metav1.ConditionFalse, "ProbeFailed",
			"GET http://127.0.0.1:9080/health: dial tcp 127.0.0.1:9080: connect: connection refused; the application does not listen", 3*time.Second),
		condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "ProbeFailed", "", 3*time.Second),
	}
	revoked := joined3Hours()
	revoked.Spec.Revoked = true
	revoked.Status.Connection, revoked.Status.WorkloadEntry = nil, ""
	fresh := &v1alpha1.Machine{ObjectMeta: metav1.ObjectMeta{Name: "new", Namespace: "shop", CreationTimestamp: before(time.Second)}, Spec: v1alpha1.MachineSpec{Group: "ratings", KeyFingerprint: strings.Repeat("5f", 32)}}
	happened := []corev1.Event{
		{Reason: "Joined", Message: "joined group ratings", LastTimestamp: before(3 * time.Hour), Count: 1},
		{Reason: "Disconnected", Message: "the stream to hawser-manager-5d9c7b7d4-aaaaa ended, and the agent did not come back within 10 s", EventTime: metav1.NewMicroTime(now().Add(-time.Hour)),
			Series: &corev1.EventSeries{Count: 4, LastObservedTime: metav1.NewMicroTime(now().Add(-21 * time.Minute))}},
	}
	cases := map[string]Machine{
		"ready":   {Machine: joined3Hours(), Entry: entry(), Events: happened},
		"sick":    {Machine: sick, Entry: entry(), Colour: true},
		"revoked": {Machine: revoked, Remarks: []string{"Events are not shown: you may not list events in namespace shop."}},
		"fresh":   {Machine: fresh},
	}
	for name, known := range cases {
		t.Run(name, func(t *testing.T) {
			known.Now = now()
			got := known.String()
			for _, line := range strings.Split(got, "\n") {
				plain := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(line)
				if len(plain) > width {
					t.Errorf("%d columns: %q", len(plain), plain)
				}
			}
			golden.Check(t, name+".txt", got)
		})
	}
}
