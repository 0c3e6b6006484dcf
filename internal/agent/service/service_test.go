package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/host/command/commandtest"
)

// fakeSystemd is systemd with the agent's unit alone; it prints itself.
type fakeSystemd struct {
	enabled, active bool
	// starts counts how often the service was started.
	starts int
	// limits are the times that calls were given.
	limits []time.Duration
}

var _ Runner = (*fakeSystemd)(nil)

func (s *fakeSystemd) String() string {
	return fmt.Sprintf("enabled=%v active=%v starts=%d", s.enabled, s.active, s.starts)
}

func (s *fakeSystemd) Run(ctx context.Context, c command.Command) ([]byte, error) {
	s.limits = append(s.limits, c.Timeout)
	return commandtest.Programs{"systemctl": s.systemctl}.Run(ctx, c)
}

func (s *fakeSystemd) systemctl(args []string, _ string) (string, error) {
	switch strings.Join(args, " ") {
	case "reset-failed " + Unit:
		if !s.active {
			return "", &commandtest.Exit{Code: 1, Complaint: "Failed to reset failed state of unit hawser-agent.service: Unit hawser-agent.service not loaded."}
		}
	case "enable " + Unit:
		s.enabled = true
	case "start " + Unit:
		if !s.active {
			s.active, s.starts = true, s.starts+1
		}
	case "restart " + Unit:
		s.active, s.starts = true, s.starts+1
	case "disable " + Unit:
		s.enabled = false
	case "disable --now " + Unit:
		s.enabled, s.active = false, false
	case "stop --no-block " + Unit + " hawser-drain.service":
		s.active = false
	case "stop hawser-drain.service":
		if s.active {
			return "", errors.New("it would drain a machine that goes on")
		}
	default:
		return "", fmt.Errorf("systemctl %q", args)
	}
	return "", nil
}

func TestService(t *testing.T) {
	fake := &fakeSystemd{}
	systemd := New(fake)
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"start", func() error { return systemd.Start(t.Context(), false) }, "enabled=true active=true starts=1"},
		{"start what runs", func() error { return systemd.Start(t.Context(), false) }, "enabled=true active=true starts=1"},
		{"start anew", func() error { return systemd.Start(t.Context(), true) }, "enabled=true active=true starts=2"},
		{"stop", func() error { return systemd.Stop(t.Context()) }, "enabled=false active=false starts=2"},
		{"stop again", func() error { return systemd.Stop(t.Context()) }, "enabled=false active=false starts=2"},
		{"start anew what does not run", func() error { return systemd.Start(t.Context(), true) }, "enabled=true active=true starts=3"},
		{"retire", func() error { return systemd.Retire(t.Context()) }, "enabled=false active=false starts=3"},
	} {
		if err := step.do(); err != nil || fake.String() != step.want {
			t.Errorf("%s: %s, %v; want %s", step.name, fake, err, step.want)
		}
	}
	for _, limit := range fake.limits {
		if limit == 0 {
			t.Error("a call of systemctl may hang without end")
		}
	}
}
