package publish

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/record"
	"github.com/hawser-io/hawser/internal/refusal"
)

// feed knows what one machine has, and brings it what it has not.
type feed struct {
	service *Service
	// machine as it was when the stream was opened, with architecture and addresses as its agent says them.
	machine facts.Machine
	// written is the machine's name as states have it.
	written []byte
	book    Record
	// until is when the certificate ends that the stream was opened with.
	until time.Time

	// template of what was decided last, nil before the first time.
	template atomic.Pointer[template]
	// generation that the machine has, or was sent last.
	generation string
	// expiry and life of its token; life is 0 until it is looked at, and that of a fresh one if it got the token from an earlier stream.
	expiry time.Time
	life   time.Duration
	// account that the token is of, empty if there is none.
	account string
	// brought is the UID of the Secret of the token that the agent came with, until it is known whether that is good.
	brought types.UID
	// retry is the wait after the last failure to mint, 0 after none; notBefore its end.
	retry     time.Duration
	notBefore time.Time
}

func newFeed(s *Service, machine facts.Machine, hello *hawserv1.Hello, book Record, until time.Time) *feed {
	f := &feed{service: s, machine: machine, written: writtenName(machine.Name), book: book, until: until, generation: hello.GetGeneration(), account: hello.GetServiceAccount()}
	f.machine.Architecture, f.machine.Addresses = hello.GetHost().GetArchitecture(), hello.GetHost().GetAddresses()
	f.brought = types.UID(hello.GetTokenSecret())
	if hello.GetTokenExpiry() > 0 {
		f.expiry = time.Unix(hello.GetTokenExpiry(), 0)
	}
	return f
}

// finished ends a stream without an error.
type finished struct{}

func (*finished) Error() string { return "the machine was removed" }

type sender interface {
	Context() context.Context
	Send(*hawserv1.SyncResponse) error
}

// bring sends what the machine does not have and returns when to look again although nothing changed. A refusal means that the machine must
// not be served any more; *finished that it was told to leave.
func (f *feed) bring(stream sender) (time.Duration, error) {
	machine, err := f.current(stream)
	if err != nil {
		return 0, err
	}
	group := f.service.Facts().Groups[machine.GroupKey()]
	var token *hawserv1.IstioToken
	if group.ServiceAccount() != f.account {
		token = f.mint(stream.Context(), group, machine)
	}
	machine.ServiceAccount = f.account
	state := f.decide(machine, group)
	// A machine that goes on with its token does not wait for another: thousands may want one at the same time.
	if state != nil && token == nil && f.service.Now().Before(f.expiry) {
		if err := f.send(stream, state); err != nil {
			return 0, err
		}
		state = nil
	}
	if token == nil {
		token = f.refresh(stream.Context(), group, machine)
	}
	if state != nil {
		state.Token = token
		if err := f.send(stream, state); err != nil {
			return 0, err
		}
	} else if token != nil {
		if err := stream.Send(&hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_Token{Token: token}}); err != nil {
			return 0, err
		}
	}
	return min(f.refreshIn(), f.until.Sub(f.service.Now())+time.Second), nil
}

func (f *feed) send(stream sender, state *hawserv1.DesiredState) error {
	if err := stream.Send(&hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_State{State: state}}); err != nil {
		return err
	}
	f.generation = state.GetGeneration()
	f.service.Meter.State()
	return nil
}

// decide tells the book what became of the machine's state, and returns the state if the machine does not have it.
func (f *feed) decide(machine facts.Machine, group facts.Group) *hawserv1.DesiredState {
	template := f.service.states.of(f.service.Facts, machine)
	if template == f.template.Load() {
		return nil
	}
	result := template.fill(machine, f.written)
	f.template.Store(template)
	if result.Problem != nil {
		f.book.Decide(record.Decision{Problem: result.Problem})
		return nil
	}
	state := result.State
	f.book.Decide(record.Decision{
		Generation: state.GetGeneration(), Revision: state.GetRevision(), ServiceAccount: group.AccountOf(machine), Problem: group.AccountPending(machine),
	})
	if state.GetGeneration() == f.generation {
		return nil
	}
	return state
}

// concerned tells whether bring may have something to do as the facts are now. It may be called from any goroutine.
func (f *feed) concerned() bool {
	machine, ok := f.service.Facts().Machines[f.machine.NamespacedName]
	if !ok || machine.UID != f.machine.UID || machine.KeyFingerprint != f.machine.KeyFingerprint || machine.Revoked || machine.Deleting {
		return true
	}
	decided := f.template.Load()
	if decided == nil {
		return true
	}
	machine.Architecture, machine.ServiceAccount = decided.kind.architecture, decided.kind.account
	return decided.kind.account != f.service.Facts().Groups[machine.GroupKey()].ServiceAccount() || f.service.states.of(f.service.Facts, machine) != decided
}

// current returns the machine as it is now, or how its stream has to end: each time its certificate is checked as if it called anew.
func (f *feed) current(stream sender) (facts.Machine, error) {
	machine, err := f.service.Callers.Machine(stream.Context())
	if err != nil {
		return facts.Machine{}, dismiss(stream, err)
	}
	// One that a restore of the cluster's state had forgotten says anew what it has.
	if machine.UID != f.machine.UID || machine.Returning {
		return facts.Machine{}, refusal.New(refusal.SessionReplaced, "machine", machine.NamespacedName)
	}
	// What the agent said when it connected is newer than what is recorded.
	machine.Architecture, machine.Addresses = f.machine.Architecture, f.machine.Addresses
	return machine, nil
}

// dismiss tells a machine to leave if the refusal is that it does not exist any more.
func dismiss(stream sender, err error) error {
	refused, ok := refusal.FromError(err)
	if !ok || refused.Reason != refusal.MachineUnknown {
		return err
	}
	removed := &hawserv1.Removed{Reason: "the Machine " + refused.Attributes["machine"] + " was deleted in Kubernetes"}
	if err := stream.Send(&hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_Removed{Removed: removed}}); err != nil {
		return err
	}
	return &finished{}
}
