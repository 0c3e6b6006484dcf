package record

import (
	"net/netip"
	"slices"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// circumstances are all that status and WorkloadEntry follow from, besides what is written already.
type circumstances struct {
	observation
	pod    string
	now    time.Time
	group  *facts.Group
	policy facts.Policy
	// address that callers use, empty if there is none that can be used.
	address string
	// entryTaken: the WorkloadEntry of the machine's name is somebody else's.
	entryTaken bool
	// gone: there is no stream, and there has been none for the grace; or there must be none.
	gone bool
}

func (r *Recorder) circumstances(machine *v1alpha1.Machine, o observation) circumstances {
	f := r.Facts()
	now := r.Now()
	c := circumstances{observation: o, pod: r.Pod, now: now, policy: f.PolicyOf(machine.Namespace, machine.Spec.Group)}
	if group, ok := f.Groups[groupOf(machine)]; ok {
		c.group = &group
	}
	c.gone = machine.Spec.Revoked || !o.lost.IsZero() && now.Sub(o.lost) >= r.Grace
	c.address = address(o, c.policy.AddressCIDR)
	return c
}

// status returns what the machine's status has to be.
func (c circumstances) status(machine *v1alpha1.Machine) v1alpha1.MachineStatus {
	s := *machine.Status.DeepCopy()
	switch {
	case machine.Spec.Revoked:
		disconnect(&s, machine.Generation, c.now, reasonRevoked, messageRevoked)
		return s
	case c.gone:
		disconnect(&s, machine.Generation, c.now, reasonStreamLost, "the agent has no stream to a manager")
		return s
	}
	host, report := c.Host, c.report
	s.Address = c.address
	addresses := c.addresses()
	s.Addresses = addresses[:min(len(addresses), maxAddresses)]
	s.WorkloadEntry = machine.Name
	s.AgentVersion, s.Architecture = short(host.GetAgentVersion()), short(host.GetArchitecture())
	s.Hostname = short(host.GetHostname())
	s.OperatingSystem, s.KernelVersion = short(host.GetOperatingSystem()), short(host.GetKernelVersion())
	s.Connection = &v1alpha1.MachineConnection{Manager: c.pod, Session: c.ID, Since: second(c.Since), BootID: short(host.GetBootId())}
	s.AppliedGeneration = short(report.GetAppliedGeneration())
	s.Proxy = proxyStatus(report.GetProxy())
	s.AgentCertificateExpiry = unix(report.GetAgentCertificateExpiry())
	s.ProxyCertificateExpiry = unix(report.GetProxyCertificateExpiry())
	if d := c.decision; d != nil && d.Generation != "" {
		s.DesiredGeneration, s.Revision = d.Generation, d.Revision
	}
	for _, condition := range c.conditions(s.Conditions) {
		set(&s, machine.Generation, c.now, condition)
	}
	return s
}

// disconnect makes a status say that the machine has no stream: it keeps what was known, and takes no traffic.
func disconnect(s *v1alpha1.MachineStatus, generation int64, now time.Time, reason, message string) {
	s.Connection = nil
	for _, condition := range []string{v1alpha1.ConditionConnected, v1alpha1.ConditionHealthy, v1alpha1.ConditionReady} {
		set(s, generation, now, meta.Condition{Type: condition, Status: meta.ConditionFalse, Reason: reason, Message: message})
	}
}

// set puts a condition with the time in seconds, as it comes back from the API server.
func set(s *v1alpha1.MachineStatus, generation int64, now time.Time, condition meta.Condition) {
	condition.LastTransitionTime = second(now)
	condition.ObservedGeneration = generation
	apimeta.SetStatusCondition(&s.Conditions, condition)
}

// address is the one that callers use: the first within the policy's range if it names one, else the agent's choice, else the default
// route's.
func address(o observation, cidr string) string {
	candidates := append([]string{o.report.GetAddress()}, o.addresses()...)
	prefix, err := netip.ParsePrefix(cidr)
	bound := cidr != ""
	if bound && err != nil {
		return ""
	}
	at := slices.IndexFunc(candidates, func(text string) bool {
		ip, err := netip.ParseAddr(text)
		return err == nil && usable(ip) && (!bound || prefix.Contains(ip.Unmap()))
	})
	if at < 0 {
		return ""
	}
	return candidates[at]
}

// addresses of the host: the report has them as they are now.
func (o observation) addresses() []string {
	if now := o.report.GetAddresses(); len(now) > 0 {
		return now
	}
	return o.Host.GetAddresses()
}

func usable(ip netip.Addr) bool {
	return ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast()
}

func proxyStatus(p *hawserv1.ProxyStatus) *v1alpha1.MachineProxy {
	if p == nil {
		return nil
	}
	slot := p.GetSlot()
	if slot != "a" && slot != "b" {
		slot = ""
	}
	return &v1alpha1.MachineProxy{Version: short(p.GetVersion()), ImageDigest: short(p.GetImageDigest()), Slot: slot, Ready: p.GetReady()}
}

// Bounds on what an agent says; those of the API are wider or the same.
const (
	maxAddresses = 64
	maxText      = 256
	maxMessage   = 1024
)

func short(text string) string { return cut(text, maxText) }

func unix(seconds int64) *meta.Time {
	if seconds <= 0 {
		return nil
	}
	t := meta.Unix(seconds, 0)
	return &t
}

func second(t time.Time) meta.Time { return meta.NewTime(t.Truncate(time.Second)) }
