package cli

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// width that the status is written for, in columns.
const width = 80

// row is one line of the status: a mark, a name and what there is to say.
type row struct {
	mark mark
	name string
	text string
}

// mark says how a row is doing. Its sign tells it without colour.
type mark int

const (
	none mark = iota
	good
	bad
	unknown
)

func (m mark) sign() string { return [...]string{" ", "✓", "✗", "·"}[m] }

// colour is the sign's escape sequence.
func (m mark) colour() string { return [...]string{"", "\x1b[32m", "\x1b[31m", "\x1b[33m"}[m] }

func markOf(is bool) mark {
	if is {
		return good
	}
	return bad
}

// writeStatus writes status for humans, with ages as of now.
func writeStatus(w io.Writer, status local.Status, now time.Time, coloured bool) error {
	var out strings.Builder
	machine := fmt.Sprintf("%s/%s", status.Machine.Namespace, status.Machine.Name)
	fmt.Fprintf(&out, "%s in group %s: %s\n\n", machine, status.Machine.Group, summary(status))
	for _, r := range rows(status, now) {
		writeRow(&out, r, coloured)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// summary is the one word that most readers look for.
func summary(status local.Status) string {
	facts := status.Facts
	switch {
	case facts.Draining:
		return "draining"
	case facts.Connection.Reason != "":
		return "turned away by the manager"
	case !facts.Connection.Up:
		return "not connected"
	case status.Ready && status.Healthy:
		return "ready, takes traffic"
	case status.Ready:
		return "ready, takes no traffic"
	case applying(facts.Configuration):
		return "getting ready"
	default:
		return "not ready"
	}
}

// applying: nothing has failed, there is just more to do.
func applying(c report.Configuration) bool {
	return c.Desired != "" && c.Applied != c.Desired && c.Failed != c.Desired
}

func rows(status local.Status, now time.Time) []row {
	facts := status.Facts
	list := []row{connectionRow(status.Manager, facts.Connection, now), configurationRow(facts.Configuration), proxyRow(facts.Proxy)}
	if facts.Configuration.Desired != "" {
		list = append(list, interceptionRow(facts.Interception), dnsRow(facts.DNS), applicationRow(facts.Application))
	}
	list = append(list, healthRow(status), addressRow(facts), row{})
	list = append(list,
		validityRow("Agent cert", facts.Certificates.Agent, now),
		validityRow("Proxy cert", facts.Certificates.Proxy, now),
		validityRow("Istio token", facts.Certificates.IstioToken, now))
	return append(list, remarks(status, now)...)
}

// remarks are what is wrong, in more words, and what the manager has to say.
func remarks(status local.Status, now time.Time) []row {
	list := []row{{}}
	for _, condition := range status.Conditions {
		if report.Bad(condition.Type, condition.Status) && condition.Message != "" && condition.Reason != "ModeNone" {
			list = append(list, row{name: condition.Type, mark: conditionMark(condition),
				text: fmt.Sprintf("%s for %s: %s", condition.Reason, age(now.Sub(condition.LastTransition)), condition.Message)})
		}
	}
	for _, notice := range status.Facts.Notices {
		list = append(list, row{name: "Notice", mark: unknown, text: notice.Reason + ": " + notice.Message})
	}
	if gaps := status.Facts.Proxy.Gaps; gaps != "" {
		list = append(list, row{name: "Upgrades", mark: unknown, text: gaps})
	}
	if len(list) == 1 {
		return nil
	}
	return list
}

func conditionMark(condition local.Condition) mark {
	if condition.Status == "False" || condition.Reason == "Contested" {
		return bad
	}
	return unknown
}

func connectionRow(manager string, c report.Connection, now time.Time) row {
	if !c.Up {
		text := "not connected to " + manager
		if !c.Since.IsZero() {
			text += " for " + age(now.Sub(c.Since))
		}
		if c.Error != "" {
			text += ": " + c.Error
		}
		return row{bad, "Manager", text}
	}
	return row{good, "Manager", fmt.Sprintf("%s, connected for %s", manager+at(manager, c.Peer), age(now.Sub(c.Since)))}
}

// at is where a manager given by its name is reached. Its port is nearly always the one that was given.
func at(manager, peer string) string {
	if peer == "" || peer == manager {
		return ""
	}
	host, port, err := net.SplitHostPort(peer)
	if err != nil || !strings.HasSuffix(manager, ":"+port) {
		return " (" + peer + ")"
	}
	return " (" + host + ")"
}

func configurationRow(c report.Configuration) row {
	switch {
	case c.Desired == "":
		return row{unknown, "Config", "nothing received yet"}
	case c.Applied == c.Desired:
		return row{good, "Config", fmt.Sprintf("current, generation %s, revision %s", short(c.Applied), c.Revision)}
	case c.Failed == c.Desired:
		return row{bad, "Config", fmt.Sprintf("generation %s could not be applied", short(c.Desired))}
	default:
		return row{unknown, "Config", fmt.Sprintf("generation %s is being applied%s", short(c.Desired), underWay(c.Steps))}
	}
}

func underWay(steps []report.Step) string {
	if n := len(steps); n > 0 && steps[n-1].Finished.IsZero() {
		return ": " + steps[n-1].Name
	}
	return ""
}

func proxyRow(p report.Proxy) row {
	if p.Slot == "" && !p.Ready {
		return row{bad, "Proxy", "none runs yet"}
	}
	text := fmt.Sprintf("Istio %s in slot %s, ready", p.Version, p.Slot)
	if !p.Ready {
		text = fmt.Sprintf("Istio %s in slot %s, not ready", p.Version, p.Slot)
	}
	if p.Retiring != "" {
		text += "; the former one in slot " + p.Retiring + " drains"
	}
	return row{markOf(p.Ready), "Proxy", text}
}

func interceptionRow(i report.Interception) row {
	switch {
	case !i.Wanted:
		return row{none, "Interception", "off, as the group's policy asks"}
	case i.Active:
		return row{good, "Interception", "on, by " + i.Backend}
	case i.Passing:
		return row{bad, "Interception", "off: the proxy cannot run, and traffic passes without it"}
	default:
		return row{bad, "Interception", "off"}
	}
}

func dnsRow(d report.DNS) row {
	switch d.Way {
	case "":
		return row{none, "DNS", "the host's own only"}
	case "redirect":
		return row{good, "DNS", "cluster names by redirecting lookups to the proxy"}
	default:
		return row{good, "DNS", "cluster names by " + d.Way}
	}
}

func applicationRow(a report.Application) row {
	switch {
	case !a.Probed:
		return row{none, "Application", "the group has no probe"}
	case a.Ready:
		return row{good, "Application", "its probe succeeds"}
	default:
		return row{bad, "Application", "its probe fails"}
	}
}

func healthRow(status local.Status) row {
	switch {
	case status.Facts.Draining:
		return row{bad, "Traffic", "none: " + status.UnhealthyReason + "; `systemctl restart hawser-agent` takes that back"}
	case !status.Healthy:
		return row{bad, "Traffic", "none: " + status.UnhealthyReason}
	case !status.Facts.Connection.Up:
		// The manager's decision, which nobody hears of here.
		return row{unknown, "Traffic", "callers turn elsewhere 10s after the connection is lost"}
	default:
		return row{good, "Traffic", "callers may send requests"}
	}
}

func addressRow(facts report.Facts) row {
	others := 0
	for _, address := range facts.Addresses {
		if address != facts.Address {
			others++
		}
	}
	text := facts.Address
	if others > 0 {
		text = fmt.Sprintf("%s (and %d more)", text, others)
	}
	if text == "" {
		text = "unknown"
	}
	return row{none, "Address", text}
}

func validityRow(name string, v report.Validity, now time.Time) row {
	switch {
	case v.NotAfter.IsZero():
		return row{unknown, name, "none yet"}
	case !now.Before(v.NotAfter):
		return row{bad, name, "expired " + age(now.Sub(v.NotAfter)) + " ago"}
	case v.NotBefore.IsZero():
		return row{good, name, "valid for " + age(v.NotAfter.Sub(now))}
	default:
		return row{good, name, fmt.Sprintf("%s old, valid for %s", age(now.Sub(born(v))), age(v.NotAfter.Sub(now)))}
	}
}

// born is when a certificate was made: when the host got it, unless its file says something that cannot be.
func born(v report.Validity) time.Time {
	if v.Obtained.Before(v.NotBefore) || v.Obtained.After(v.NotAfter) {
		return v.NotBefore
	}
	return v.Obtained
}

func short(generation string) string {
	if len(generation) > 8 {
		return generation[:8]
	}
	return generation
}
