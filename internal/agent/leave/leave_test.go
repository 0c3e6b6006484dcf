package leave

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// fakeMachine is a joined machine with all its surroundings; it prints itself.
type fakeMachine struct {
	agent, manager, host, service error
	identity                      error
	log, done                     []string
}

var (
	_ Store    = (*fakeMachine)(nil)
	_ Service  = (*fakeMachine)(nil)
	_ Agent    = (*fakeMachine)(nil)
	_ Manager  = (*fakeMachine)(nil)
	_ Host     = (*fakeMachine)(nil)
	_ Progress = (*fakeMachine)(nil)
)

func (m *fakeMachine) did(what string, err error) error {
	if err == nil {
		m.log = append(m.log, what)
	}
	return err
}

func (m *fakeMachine) Identity() (*store.Identity, error) {
	if m.identity != nil {
		return nil, m.identity
	}
	return &store.Identity{Enrollment: store.Enrollment{Namespace: "shop", Name: "vm-1"}}, nil
}

func (m *fakeMachine) Drain(context.Context) error                  { return m.did("drain", m.agent) }
func (m *fakeMachine) Stop(context.Context) error                   { return m.did("stop", m.service) }
func (m *fakeMachine) Leave(context.Context, *store.Identity) error { return m.did("leave", m.manager) }
func (m *fakeMachine) Restore(context.Context) error                { return m.did("restore", m.host) }
func (m *fakeMachine) Forget() error                                { return m.did("forget", nil) }
func (m *fakeMachine) Begin(string)                                 {}
func (m *fakeMachine) Done(what string)                             { m.done = append(m.done, what) }
func (m *fakeMachine) Remark(what string)                           { m.log = append(m.log, "remark "+what) }

func TestLeave(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		machine fakeMachine
		force   bool
		want    string
		err     string
	}{
		"all-well":                {want: "drain stop leave restore forget"},
		"never-joined":            {machine: fakeMachine{identity: store.ErrNone, agent: local.ErrNotRunning}, want: "stop restore forget"},
		"never-joined-no-systemd": {machine: fakeMachine{identity: store.ErrNone, agent: local.ErrNotRunning, service: broken}, want: "remark broken restore forget"},
		"offline":                 {machine: fakeMachine{agent: broken, manager: broken}, want: "remark callers were not turned away: broken stop remark the manager was not told (broken): it finds the machine gone by itself and takes it out of rotation; `kubectl delete machine vm-1 -n shop` removes its last trace restore forget"},
		"manager-hears-nothing":   {machine: fakeMachine{agent: context.DeadlineExceeded}, want: "remark callers were not turned away: there was no answer of the agent within 5s stop leave restore forget"},
		"damaged-identity":        {machine: fakeMachine{identity: broken}, want: "remark broken drain stop restore forget"},
		"host-not-restored":       {machine: fakeMachine{host: broken}, want: "drain stop leave", err: "leave --force"},
		"forced":                  {machine: fakeMachine{host: broken, service: broken}, force: true, want: "drain remark broken leave remark broken forget"},
		"service-does-not-stop":   {machine: fakeMachine{service: broken}, want: "drain", err: "`systemctl restart hawser-agent` lets the machine take traffic again"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &test.machine
				err := (&Leaver{Store: m, Service: m, Agent: m, Manager: m, Host: m, Progress: m, DrainLimit: 5 * time.Second, Force: test.force}).Run(t.Context())
				if got := strings.Join(m.log, " "); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
				if stopped := slices.Contains(m.done, "agent stopped"); stopped == (test.machine.service != nil) {
					t.Errorf("said that the agent was stopped: %v", stopped)
				}
				if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
			})
		})
	}
}
