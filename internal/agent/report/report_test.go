package report

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
)

// good is a machine on which all is well.
func good(now time.Time) Facts {
	return Facts{
		Configuration: Configuration{Desired: "g1", Applied: "g1"},
		Proxy:         Proxy{Version: "1.31.0", Slot: "a", Ready: true},
		Interception:  Interception{Wanted: true, Active: true},
		Application:   Application{Probed: true, Ready: true},
		Certificates: Certificates{
			Agent:      Validity{NotAfter: now.Add(time.Hour)},
			Proxy:      Validity{NotAfter: now.Add(time.Hour)},
			IstioToken: Validity{NotAfter: now.Add(time.Hour)},
		},
	}
}

func TestJudgement(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name   string
		change func(*Facts)
		want   string // conditions that are not True with their reasons, then why unhealthy
	}{
		{"all-well", func(*Facts) {}, ""},
		{"nothing-known", func(f *Facts) { *f = Facts{} }, "ConfigCurrent=Unknown/Waiting ProxyReady=False/NotRunning IdentityValid=Unknown/Waiting Intercepting=False/ModeNone proxy: not ready yet"},
		{"applying", func(f *Facts) { f.Configuration.Desired = "g2" }, "ConfigCurrent=False/Applying"},
		{"apply-failed", func(f *Facts) {
			f.Configuration.Desired, f.Configuration.Failed, f.Configuration.Reason = "g2", "g2", "NoSpace"
		}, "ConfigCurrent=False/NoSpace"},
		{"failed-before-and-applying-now", func(f *Facts) { f.Configuration.Desired, f.Configuration.Failed = "g3", "g2" }, "ConfigCurrent=False/Applying"},
		{"no-probe", func(f *Facts) { f.Application = Application{} }, ""},
		{"application-down", func(f *Facts) { f.Application.Ready, f.Application.Message = false, "connection refused" }, "application: connection refused"},
		{"proxy-down", func(f *Facts) { f.Proxy.Ready, f.Proxy.Message = false, "503" }, "ProxyReady=False/NotReady proxy: 503"},
		{"draining", func(f *Facts) { f.Draining = true }, "the machine is draining"},
		{"no-interception-wanted", func(f *Facts) { f.Interception = Interception{} }, "Intercepting=False/ModeNone"},
		{"interception-missing", func(f *Facts) { f.Interception.Active = false }, "Intercepting=False/NotActive interception: the rules are not in place yet"},
		{"agent-certificate-expired", func(f *Facts) { f.Certificates.Agent.NotAfter = now }, "IdentityValid=False/AgentCertificateExpired"},
		{"proxy-certificate-expired", func(f *Facts) { f.Certificates.Proxy.NotAfter = now }, "IdentityValid=False/ProxyCertificateExpired"},
		{"token-expired-beside-a-certificate", func(f *Facts) { f.Certificates.IstioToken.NotAfter = now }, ""},
		{"restart-due", func(f *Facts) { f.Proxy.Outdated = []string{"environment", "unit settings"} }, "RestartRequired=True/SettingsChanged"},
		{"version-staged", func(f *Facts) { f.Proxy.Outdated = []string{"version"} }, "RestartRequired=True/VersionChanged"},
		{"host-renamed", func(f *Facts) { f.Hostname = Hostname{Known: "db-1", Now: "db-2"} }, "RestartRequired=True/HostnameChanged"},
		{"host-renamed-while-settings-wait", func(f *Facts) {
			f.Hostname, f.Proxy.Outdated = Hostname{Known: "db-1", Now: "db-2"}, []string{"environment"}
		}, "RestartRequired=True/SettingsChanged"},
		{"repaired", func(f *Facts) { f.Drift = Drift{}.Repair("/etc/hosts", now) }, "Drifted=True/Repaired"},
		{"contested", func(f *Facts) { f.Drift.Contested = []Contested{{Thing: "/etc/hosts", Until: now.Add(1)}} }, "Drifted=True/Contested"},
		{"contested-until-now", func(f *Facts) { f.Drift.Contested = []Contested{{Thing: "/etc/hosts", Until: now}} }, ""},
		{"token-expired", func(f *Facts) { f.Certificates.IstioToken.NotAfter, f.Certificates.Proxy = now, Validity{} }, "IdentityValid=False/TokenExpired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			facts := good(now)
			test.change(&facts)
			var got []string
			for _, v := range judge(facts, now) {
				if Bad(v.kind, v.status) {
					got = append(got, fmt.Sprintf("%s=%s/%s", v.kind, v.status, v.reason))
				}
				if v.reason == "" || v.status != "True" && v.message == "" && v.reason != "NoSpace" && Bad(v.kind, v.status) {
					t.Errorf("%+v: a condition has a reason, and a message unless it is true", v)
				}
			}
			if healthy, reason := health(facts); !healthy {
				got = append(got, reason)
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTransitionTimesMoveWithTheStatusOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board, start := NewBoard(time.Now), time.Now()
		board.Update(func(f *Facts) { *f = good(start) })
		time.Sleep(time.Minute)
		board.Update(func(f *Facts) { f.Proxy.Ready, f.Proxy.Message = false, "503" })
		time.Sleep(time.Minute)
		board.Update(func(f *Facts) { f.Proxy.Message = "connection refused" })
		for _, condition := range board.Report().GetConditions() {
			want := start
			if condition.GetType() == ProxyReady {
				want = start.Add(time.Minute)
			}
			if got := time.Unix(condition.GetLastTransition(), 0); !got.Equal(want) {
				t.Errorf("%s changed at %s, want %s", condition.GetType(), got.Sub(start), want.Sub(start))
			}
		}
	})
}

func TestReportChangesByTimeAloneWhenSomethingExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := NewBoard(time.Now)
		board.Update(func(f *Facts) { *f = good(time.Now()) })
		before := board.Report()
		time.Sleep(30 * time.Minute)
		if half := board.Report(); !proto.Equal(before, half) {
			t.Errorf("the report changed without news:\n%v\n%v", before, half)
		}
		time.Sleep(30 * time.Minute)
		if proto.Equal(before, board.Report()) {
			t.Error("the report did not change when the certificate expired")
		}
	})
}

func TestWatchersAreWokenOnceForABurst(t *testing.T) {
	board := NewBoard(time.Now)
	changed, stop := board.Watch()
	for range 3 {
		board.Update(func(f *Facts) { f.Address = "10.0.0.1" })
	}
	<-changed
	select {
	case <-changed:
		t.Error("woken twice")
	default:
	}
	stop()
	board.Update(func(f *Facts) { f.Address = "10.0.0.2" })
	select {
	case <-changed:
		t.Error("woken after stop")
	default:
	}
}

// What a version waits for that its owner need not do anything about is told.
func TestAVersionThatWaitsForAFormerProxySaysSo(t *testing.T) {
	verdict := restartRequired(Proxy{Slot: "b", Outdated: []string{"version"}, Retiring: "a"}, Hostname{})
	if !strings.Contains(verdict.message, "slot a has ended") || strings.Contains(verdict.message, "systemctl") {
		t.Errorf("%+v", verdict)
	}
}
