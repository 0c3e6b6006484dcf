package record_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/record"
)

func TestProblemIsAConditionAndAnEvent(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		w.api.takeEvents()
		e.Decide(record.Decision{Problem: &facts.Problem{Reason: facts.ReasonImageUnavailable, Message: "no image", Next: "push it"}})
		w.want("problem", strings.Replace(machineUp, "by s1", "by s1 ConfigCurrent=False(ImageUnavailable) Ready=False(ImageUnavailable)", 1))
		if events := w.api.takeEvents(); events != "Warning ImageUnavailable: no image; push it" {
			t.Errorf("events %q", events)
		}
	})
}

// TestWarningsAreConditionsAndEvents: each change of what is told is one Event, and neither its repetition nor its end is.
func TestWarningsAreConditionsAndEvents(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		w.api.takeEvents()
		const drifted, restart, identity = v1alpha1.ConditionDrifted, v1alpha1.ConditionRestartRequired, v1alpha1.ConditionIdentityValid
		for _, step := range []struct{ kind, status, reason, message, event string }{
			{drifted, "False", "InPlace", "", ""},
			{drifted, "True", "Repaired", "put right: /etc/hosts", "Normal Repaired: put right: /etc/hosts"},
			{drifted, "True", "Repaired", "put right: /etc/hosts", ""},
			{drifted, "True", "Repaired", "put right: /etc/hosts, traffic rules", "Normal Repaired: put right: /etc/hosts, traffic rules"},
			{drifted, "True", "Contested", "traffic rules", "Warning Contested: traffic rules"},
			{drifted, "False", "InPlace", "", ""},
			{restart, "False", "UpToDate", "", ""},
			{restart, "True", "SettingsChanged", "environment", "Normal RestartRequired: environment"},
			{restart, "True", "VersionChanged", "version, environment", "Normal RestartRequired: version, environment"},
			{restart, "False", "UpToDate", "", ""},
			{identity, "Unknown", "Waiting", "no certificate yet", ""},
			{identity, "False", "ClockSkew", "a day ahead", "Warning ClockSkew: a day ahead"},
			{identity, "False", "ClockSkew", "a day and a second ahead", ""},
			{identity, "False", "ProxyCertificateExpired", "yesterday", "Warning ProxyCertificateExpired: yesterday"},
			{identity, "True", "Valid", "", ""},
		} {
			told := &hawserv1.Condition{Type: step.kind, Status: step.status, Reason: step.reason, Message: step.message}
			e.Report(healthy(func(r *hawserv1.Report) {
				others := slices.DeleteFunc(r.Conditions, func(c *hawserv1.Condition) bool { return c.GetType() == step.kind })
				r.Conditions = append(others, told)
			}))
			synctest.Wait()
			is := apimeta.FindStatusCondition(w.object().Status.Conditions, step.kind)
			if is == nil || string(is.Status) != step.status || is.Reason != step.reason || is.Message != step.message {
				t.Errorf("condition %+v, want %+v", is, step)
			}
			if events := w.api.takeEvents(); events != step.event {
				t.Errorf("events %q, want %q", events, step.event)
			}
		}
	})
}
