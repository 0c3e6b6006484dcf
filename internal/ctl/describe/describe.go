// Package describe writes all that is known of one machine for a person to read, 80 columns wide. The objects come in as they were read
// and the time with them; text comes out. It reads nothing itself.
package describe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/ctl/table"
)

// Machine is what is known of a machine.
type Machine struct {
	Machine *v1alpha1.Machine
	// Entry is its WorkloadEntry, nil if there is none or the caller may not read it.
	Entry *unstructured.Unstructured
	// Events about the machine, in any order.
	Events []corev1.Event
	// Remarks say what could not be read, and why.
	Remarks []string
	Now     time.Time
	Colour  bool
}

// events that are shown, the newest.
const events = 10

// String returns the description.
func (d Machine) String() string {
	p := &page{colour: d.Colour}
	d.identity(p)
	d.host(p)
	d.connection(p)
	d.proxy(p)
	d.certificates(p)
	d.entry(p)
	d.conditions(p)
	d.events(p)
	for _, remark := range d.Remarks {
		p.line("")
		p.wrapped("", remark)
	}
	return p.String()
}

func (d Machine) identity(p *page) {
	m := d.Machine
	p.field("Name", m.Name)
	p.field("Namespace", m.Namespace)
	p.field("Group", m.Spec.Group)
	p.field("Joined", d.ago(m.CreationTimestamp.Time))
	p.state("Status", Status(m))
	p.field("Address", m.Status.Address)
	others := slices.DeleteFunc(slices.Clone(m.Status.Addresses), func(a string) bool { return a == m.Status.Address })
	p.field("Also", strings.Join(others, ", "))
	p.field("Revision", m.Status.Revision)
}

func (d Machine) host(p *page) {
	s := d.Machine.Status
	p.section("Host")
	if !strings.EqualFold(s.Hostname, d.Machine.Name) {
		p.field("Name", s.Hostname)
	}
	p.field("System", joined(", ", s.OperatingSystem, s.Architecture))
	p.field("Kernel", s.KernelVersion)
	p.field("Machine ID", d.Machine.Spec.MachineID)
	p.field("Agent", s.AgentVersion)
}

func (d Machine) connection(p *page) {
	p.section("Connection")
	if c := d.Machine.Status.Connection; c != nil {
		p.field("Manager", c.Manager)
		p.field("Since", d.ago(c.Since.Time))
	} else {
		p.field("Manager", "none")
	}
	s := d.Machine.Status
	switch {
	case s.DesiredGeneration == "":
		p.field("State", "none was computed yet")
	case s.AppliedGeneration == s.DesiredGeneration:
		p.field("State", short(s.AppliedGeneration)+", current")
	default:
		p.field("State", fmt.Sprintf("%s applied, %s desired", cmp.Or(short(s.AppliedGeneration), "none"), short(s.DesiredGeneration)))
	}
}

func (d Machine) proxy(p *page) {
	proxy := d.Machine.Status.Proxy
	p.section("Proxy")
	if proxy == nil {
		p.field("Version", "none runs")
		return
	}
	p.field("Version", proxy.Version)
	p.field("Image", short(proxy.ImageDigest))
	p.field("Slot", proxy.Slot)
	p.field("Ready", map[bool]string{true: "yes", false: "no"}[proxy.Ready])
}

func (d Machine) certificates(p *page) {
	s := d.Machine.Status
	p.section("Certificates")
	p.field("Agent", d.until(s.AgentCertificateExpiry))
	p.field("Proxy", d.until(s.ProxyCertificateExpiry))
	p.field("Key", short(d.Machine.Spec.KeyFingerprint))
}

func (d Machine) entry(p *page) {
	p.section("WorkloadEntry")
	if d.Entry == nil {
		p.field("Name", cmp.Or(d.Machine.Status.WorkloadEntry, "none"))
		return
	}
	spec, _, _ := unstructured.NestedMap(d.Entry.Object, "spec")
	text := func(key string) string {
		if value, ok := spec[key]; ok {
			return fmt.Sprint(value)
		}
		return ""
	}
	p.field("Name", d.Entry.GetName())
	p.field("Address", text("address"))
	p.field("Ports", ports(spec))
	p.field("Network", text("network"))
	p.field("Locality", text("locality"))
	p.field("Weight", text("weight"))
	p.field("Account", text("serviceAccount"))
}

func ports(spec map[string]any) string {
	named, _, _ := unstructured.NestedMap(spec, "ports")
	var all []string
	for name, port := range named {
		all = append(all, fmt.Sprintf("%s %v", name, port))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// Status of a machine in one word: Ready, Revoked, NotReady and why.
func Status(m *v1alpha1.Machine) string {
	if m.Spec.Revoked {
		return "Revoked"
	}
	if m.DeletionTimestamp != nil {
		return "Leaving"
	}
	for _, c := range m.Status.Conditions {
		switch {
		case c.Type != v1alpha1.ConditionReady:
		case c.Status == metav1.ConditionTrue:
			return "Ready"
		default:
			return "NotReady, " + c.Reason
		}
	}
	return "Unknown"
}

func (d Machine) conditions(p *page) {
	p.section("Conditions")
	if len(d.Machine.Status.Conditions) == 0 {
		p.line("  none were reported yet")
		return
	}
	p.line("  %-14s  %-7s  %-5s  %s", "TYPE", "STATUS", "AGE", "REASON")
	for _, c := range d.Machine.Status.Conditions {
		status := fmt.Sprintf("%-7s", c.Status)
		if d.Colour {
			status = strings.Replace(status, string(c.Status), table.Colour(string(c.Status)), 1)
		}
		p.line("  %-14s  %s  %-5s  %s", c.Type, status, age(d.Now.Sub(c.LastTransitionTime.Time)), c.Reason)
		if c.Message != "" {
			p.wrapped(strings.Repeat(" ", 18), c.Message)
		}
	}
}

func (d Machine) events(p *page) {
	if len(d.Events) == 0 {
		return
	}
	sorted := slices.SortedStableFunc(slices.Values(d.Events), func(a, b corev1.Event) int { return seen(b).Compare(seen(a)) })
	p.section("Events")
	for _, e := range sorted[:min(len(sorted), events)] {
		times := max(e.Count, 1)
		if e.Series != nil {
			times = max(times, e.Series.Count)
		}
		head := fmt.Sprintf("  %-4s  %s", age(d.Now.Sub(seen(e))), e.Reason)
		if times > 1 {
			head += fmt.Sprintf(", %d times", times)
		}
		p.line("%s", head)
		p.wrapped(strings.Repeat(" ", 8), e.Message)
	}
}

// seen is when an event happened last, in whichever of its two forms it was written.
func seen(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
