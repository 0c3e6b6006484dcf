package agent

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// A host's clock jumps while its agent runs, and while it does not: the clock is what is named, and the machine goes on as it can.
func TestAHostsWrongClockIsNamed(t *testing.T) {
	w := newWorld(t)
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
	w.manager.Desire(state("g1"))
	stop := w.run()
	up := func(s local.Status) bool { return s.Facts.Connection.Up && s.Facts.Configuration.Applied == "g1" }
	w.awaitStatus("up", up)
	for _, jump := range []struct {
		by   time.Duration
		want string
	}{{25 * time.Hour, "ClockSkew"}, {0, "Valid"}, {-25 * time.Hour, "ClockSkew"}, {0, "Valid"}} {
		ahead.Store(int64(jump.by))
		status, err := local.NewClient(w.socket).Status(t.Context())
		if err != nil || !up(status) || reasonIn(status, report.IdentityValid) != jump.want {
			t.Errorf("the clock is ahead by %s: %v, %+v, want %s", jump.by, err, status, jump.want)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// So far that the manager's certificate is not valid any more.
	ahead.Store(int64(365 * 24 * time.Hour))
	stop = w.run()
	status := w.awaitStatus("not connected", func(s local.Status) bool { return s.Facts.Connection.Error != "" })
	if !strings.Contains(status.Facts.Connection.Error, "timedatectl") {
		t.Errorf("the error does not name the clock: %q", status.Facts.Connection.Error)
	}
	ahead.Store(0)
	w.awaitStatus("up again", up)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func reasonIn(status local.Status, kind string) string {
	i := slices.IndexFunc(status.Conditions, func(c local.Condition) bool { return c.Type == kind })
	if i < 0 {
		return ""
	}
	return status.Conditions[i].Reason
}
