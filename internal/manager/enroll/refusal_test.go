package enroll_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

type refusalCase struct {
	name   string
	reason refusal.Reason
	// spoil takes away what lets the host of newWorld in.
	spoil func(w *world)
}

func refusals() []refusalCase {
	return append(tokenRefusals(), append(hostRefusals(), clusterRefusals()...)...)
}

func tokenRefusals() []refusalCase {
	return []refusalCase{
		{"token-truncated", refusal.TokenMalformed, func(w *world) { w.request.Token = w.request.Token[:40] }},
		{"token-mistyped", refusal.TokenMalformed, func(w *world) { w.request.Token = strings.Replace(w.request.Token, "shop", "shpo", 1) }},
		{"token-missing", refusal.TokenMalformed, func(w *world) { w.request.Token = "" }},
		{"token-unknown", refusal.TokenUnknown, func(w *world) {
			other := jointoken.New("shop", w.token.Pin)
			other.Name = "otherone00"
			w.request.Token = other.Reveal()
		}},
		{"token-forged", refusal.TokenForged, func(w *world) {
			forged := jointoken.New("shop", w.token.Pin)
			forged.Name = w.token.Name
			w.request.Token = forged.Reveal()
		}},
		{"token-revoked", refusal.TokenRevoked, func(w *world) { w.changeToken(func(o *v1alpha1.JoinToken) { o.Spec.Revoked = true }) }},
		{"token-expired", refusal.TokenExpired, func(w *world) {
			w.changeToken(func(o *v1alpha1.JoinToken) { o.Spec.ExpiresAt = meta.NewTime(now()) })
		}},
		{"token-used", refusal.TokenUsed, func(w *world) {
			w.changeToken(func(o *v1alpha1.JoinToken) {
				o.Status.Uses = []v1alpha1.JoinTokenUse{{Machine: "ratings-vm-9", KeyFingerprint: "another"}}
			})
		}},
		{"token-used-by-many", refusal.TokenUsed, func(w *world) {
			w.changeToken(func(o *v1alpha1.JoinToken) {
				for i := range 5 {
					o.Status.Uses = append(o.Status.Uses, v1alpha1.JoinTokenUse{Machine: fmt.Sprintf("vm-%d", i), KeyFingerprint: fmt.Sprint(i)})
				}
				o.Spec.MaxUses = 5
			})
		}},
		{"token-of-another-host", refusal.TokenHostnameMismatch, func(w *world) {
			w.changeToken(func(o *v1alpha1.JoinToken) { o.Spec.Hostname = "ratings-vm-2" })
		}},
		{"token-of-another-network", refusal.TokenAddressMismatch, func(w *world) {
			w.changeToken(func(o *v1alpha1.JoinToken) { o.Spec.CIDRs = []string{"10.0.0.0/8", "2001:db8::/32"} })
		}},
	}
}

func hostRefusals() []refusalCase {
	return []refusalCase{
		{"hostname-empty", refusal.HostnameInvalid, func(w *world) { w.request.Host.Hostname = "" }},
		{"hostname-localhost", refusal.HostnameInvalid, func(w *world) { w.request.Host.Hostname = "localhost.localdomain" }},
		{"hostname-underscore", refusal.HostnameInvalid, func(w *world) { w.request.Host.Hostname = "my_host" }},
		{"hostname-too-long", refusal.HostnameInvalid, func(w *world) { w.request.Host.Hostname = strings.Repeat("a", 200) }},
		{"hostname-taken", refusal.HostnameTaken, func(w *world) { w.joined(connected) }},
		{"hostname-just-taken", refusal.HostnameTaken, func(w *world) {
			w.joined(func(m *v1alpha1.Machine) { m.CreationTimestamp = meta.NewTime(now().Add(-59 * time.Second)) })
		}},
		{"hostname-taken-by-a-clone", refusal.HostnameTaken, func(w *world) {
			w.joined(func(m *v1alpha1.Machine) { connected(m); m.Spec.MachineID = w.request.Host.MachineId })
		}},
		{"hostname-of-a-host-that-was-there-just-now", refusal.HostnameTaken, func(w *world) {
			w.joined(func(m *v1alpha1.Machine) {
				connected(m)
				m.Status.Connection = nil
				m.Status.Conditions[0].Status, m.Status.Conditions[0].LastTransitionTime = meta.ConditionFalse, meta.NewTime(now().Add(-59*time.Second))
			})
		}},
		{"clock-an-hour-late", refusal.ClockSkew, func(w *world) { w.request.Host.UnixTime -= 3600 }},
		{"clock-an-hour-early", refusal.ClockSkew, func(w *world) { w.request.Host.UnixTime += 3600 }},
		{"clock-missing", refusal.RequestInvalid, func(w *world) { w.request.Host.UnixTime = 0 }},
		{"facts-missing", refusal.HostnameInvalid, func(w *world) { w.request.Host = nil }},
		{"csr-missing", refusal.RequestInvalid, func(w *world) { w.request.Csr = nil }},
		{"csr-tampered", refusal.RequestInvalid, func(w *world) { w.request.Csr[len(w.request.Csr)-1] ^= 1 }},
		{"architecture-without-image", refusal.ArchitectureUnsupported, func(w *world) { w.request.Host.Architecture = "riscv64" }},
		{"glibc-old", refusal.GlibcTooOld, func(w *world) { w.request.Host.GlibcVersion = "2.28" }},
		{"glibc-missing", refusal.GlibcMissing, func(w *world) { w.request.Host.GlibcVersion = "" }},
	}
}

func clusterRefusals() []refusalCase {
	group := types.NamespacedName{Namespace: "shop", Name: "ratings"}
	return []refusalCase{
		{"group-deleted", refusal.GroupNotFound, func(w *world) { delete(w.facts.Groups, group) }},
		{"group-unseen", refusal.GroupUnseen, func(w *world) {
			delete(w.facts.Groups, group)
			w.cluster.groups = map[types.NamespacedName]bool{group: true}
		}},
		{"group-not-to-be-looked-up", refusal.ManagerBusy, func(w *world) {
			delete(w.facts.Groups, group)
			w.cluster.groupsBroken = errors.New("connection refused")
		}},
		{"machine-revoked", refusal.MachineRevoked, func(w *world) { w.joined(func(m *v1alpha1.Machine) { m.Spec.Revoked = true }) }},
		{"machine-of-another-group", refusal.GroupMismatch, func(w *world) { w.joined(func(m *v1alpha1.Machine) { m.Spec.Group = "legacy" }) }},
		{"machine-being-deleted", refusal.ManagerBusy, func(w *world) {
			w.joined(func(m *v1alpha1.Machine) { at := meta.NewTime(now()); m.DeletionTimestamp = &at })
		}},
		{"image-missing", refusal.ImageUnavailable, func(w *world) {
			w.registry.problem = &facts.Problem{Reason: facts.ReasonImageUnavailable, Message: "there is no image a/b:c", Next: "push it"}
		}},
		{"image-unauthorised", refusal.ImageUnauthorized, func(w *world) {
			w.registry.problem = &facts.Problem{Reason: facts.ReasonImageUnauthorized, Message: "the registry refuses a/b:c", Next: "add a pull secret"}
		}},
		{"image-slow", refusal.ProxyPending, func(w *world) { w.registry.hangs = true }},
		{"no-gateway", refusal.NoGateway, func(w *world) { w.facts.Gateways = nil }},
		{"no-root", "RootCertificateMissing", func(w *world) { w.facts.RootCertificates = nil }},
		{"no-revision", "RevisionUnknown", func(w *world) { w.facts.Revisions = nil }},
		{"api-server-broken", refusal.ManagerBusy, func(w *world) { w.cluster.broken = errors.New("etcd is down") }},
	}
}

// Each refusal has its reason, tells what to do next (testdata/refusals.txt), and leaves everything as it was.
func TestRefusals(t *testing.T) {
	var texts bytes.Buffer
	for _, c := range refusals() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.spoil(w)
				before := w.cluster.String()
				response, err := w.enroll()
				got, ok := refusal.FromError(err)
				if !ok || got.Reason != c.reason {
					t.Fatalf("Enroll = %v, %v; want %s", response, err, c.reason)
				}
				if got.Next == "" {
					t.Error("no next step")
				}
				if after := w.cluster.String(); after != before {
					t.Errorf("something is half done:\n%s", after)
				}
				if got := w.counted.of("enroll", string(c.reason)); got != 1 {
					t.Errorf("counted %s %d times", c.reason, got)
				}
				if secret := strings.Split(w.token.Reveal(), "_")[2]; strings.Contains(w.log.String()+err.Error(), secret) {
					t.Errorf("the secret is told:\n%s\n%v", w.log.String(), err)
				}
				fmt.Fprintf(&texts, "%s (%s)\n  %s\n  next: %s\n", c.name, got.Reason, got.Message, got.Next)
				if got.Retry {
					fmt.Fprintln(&texts, "  the agent asks again by itself")
				}
			})
		})
	}
	if !t.Failed() {
		golden.Check(t, "refusals.txt", texts.String())
	}
}
