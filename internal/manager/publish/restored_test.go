package publish_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

func stamped() identity.Admission {
	return identity.Admission{Group: "ratings", Stamp: identity.Stamp{Book: "0123456789abcdef", Term: "fedcba9876543210", Place: 1, Number: 1}}
}

// A restore of the cluster's state takes the Machine away while its stream stands: the agent is not told to leave, opens another stream, and is served as
// the Machine that was made anew, with a token.
func TestMachineThatARestoreHasForgotten(t *testing.T) {
	w := newWorld(t)
	w.admission = stamped()
	agent := w.join("vm", time.Hour)
	stream := w.stream(agent, "")
	before := stream.state()
	w.setMachine("vm", func(*facts.Machine) bool { return false })
	if got, err := stream.Recv(); !errors.Is(refused(err), refusal.SessionReplaced) || got != nil {
		t.Fatalf("got %v, %v", got, err)
	}
	again := w.opened(agent, &hawserv1.Hello{
		Generation: before.GetGeneration(), TokenExpiry: time.Now().Add(20 * time.Hour).Unix(), ServiceAccount: "ratings", TokenSecret: "before-the-restore",
		Host: &hawserv1.HostFacts{Architecture: "amd64"}, Report: &hawserv1.Report{},
	})
	if state := again.state(); state.GetMachine().GetUid() != "anew" || state.GetMachine().GetGroup() != "ratings" {
		t.Errorf("served as %v", state.GetMachine())
	}
	if got := again.next(); got != `token "ratings of shop/vm"` {
		t.Errorf("then %s", got)
	}
}

// As long as its group is not there it is refused, and comes again by itself; it is not told to leave.
func TestForgottenMachineWaitsForItsGroup(t *testing.T) {
	w := newWorld(t)
	w.admission, w.groupGone = stamped(), true
	agent := w.join("vm", time.Hour)
	w.change(func(f *facts.Facts) { f.Machines = map[types.NamespacedName]facts.Machine{} })
	response, err := w.stream(agent, "").Recv()
	if is, ok := refusal.FromError(err); response != nil || !ok || is.Reason != refusal.MachineForgotten || !is.Retry {
		t.Errorf("got %v, %v", response, err)
	}
}

func refused(err error) error {
	if is, ok := refusal.FromError(err); ok {
		return is
	}
	return err
}
