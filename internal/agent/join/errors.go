package join

import (
	"fmt"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// Already says that the host has joined, or is joining with another token.
type Already struct{ Enrollment store.Enrollment }

func (a *Already) Error() string {
	e := a.Enrollment
	if e.Removed != "" {
		return fmt.Sprintf("this host is being put back, as the manager has removed machine %s/%s (%s): run `hawser-agent leave` to finish that, then join",
			e.Namespace, e.Name, e.Removed)
	}
	if e.Completed.IsZero() {
		return fmt.Sprintf("this host is joining as machine %s/%s with another token (%s): repeat that command to finish it, or run `hawser-agent leave` first",
			e.Namespace, e.Name, e.TokenID)
	}
	return fmt.Sprintf("this host is machine %s/%s in group %s since %s already: see `hawser-agent status`; to join anew run `hawser-agent leave` first",
		e.Namespace, e.Name, e.Group, e.Completed.Format(time.DateOnly))
}

// Unfit lists all that keeps a host from joining, each with what to do about it.
type Unfit struct{ Problems []string }

func (u *Unfit) Error() string {
	if len(u.Problems) == 1 {
		return "this host cannot join: " + u.Problems[0]
	}
	return "this host cannot join:\n  - " + strings.Join(u.Problems, "\n  - ")
}

// NotReady says that the agent runs and the machine did not become ready.
type NotReady struct {
	Status local.Status
	// Waited is how long, zero if waiting longer would not have helped.
	Waited time.Duration
	// Reason is the manager's or the host's, in words.
	Reason string
}

func (n *NotReady) Error() string {
	after := ""
	if n.Waited > 0 {
		after = fmt.Sprintf(" after %s", n.Waited.Round(time.Second))
	}
	return fmt.Sprintf("the machine is not ready%s: %s; the agent goes on trying, see `hawser-agent status --watch`, and the same command follows it again", after, n.Reason)
}
