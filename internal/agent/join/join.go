package join

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/store"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/refusal"
)

// Request is what the user asks for.
type Request struct {
	// Manager is HOST:PORT.
	Manager string
	Token   jointoken.Token
	// Hostname replaces the kernel's; empty for that one.
	Hostname string
}

// Store keeps what a join settles.
type Store interface {
	Prepare() error
	Key() (*ecdsa.PrivateKey, error)
	KeyKept() (bool, error)
	Enrollment() (store.Enrollment, error)
	KeepCertificates(chain, trust [][]byte) error
	KeepEnrollment(store.Enrollment) error
	Forget() error
}

// Host is looked at before anything is done to it.
type Host interface {
	// Check returns the host's facts, or an *Unfit with all that keeps it from joining.
	Check(ctx context.Context, manager string) (*hawserv1.HostFacts, error)
}

// Enroller exchanges a token for certificates: the manager's Enroll call. Its errors are as of dial.Connection.Explain.
type Enroller interface {
	Enroll(ctx context.Context, request Request, message *hawserv1.EnrollRequest) (*hawserv1.EnrollResponse, error)
}

// Service is the agent's own.
type Service interface {
	// Start starts it. One that runs already goes on, or begins anew, since what it read at its start is no longer so.
	Start(ctx context.Context, anew bool) error
}

// Agent is the running agent.
type Agent interface {
	Watch(ctx context.Context, see func(local.Status) bool) error
}

// Progress shows what a join does; progress.Printer does.
type Progress interface {
	Begin(what string)
	Done(what string)
	Took(what string, duration time.Duration)
	Note(what string)
}

// Joiner joins one host.
type Joiner struct {
	Store    Store
	Host     Host
	Enroller Enroller
	Service  Service
	Agent    Agent
	Progress Progress
}

// patience with a manager that does not answer at the first attempt, as while one of its replicas is replaced.
const patience = 5 * time.Second

// Run joins, and returns the status of the machine once it is ready. Errors are an *Already, an *Unfit, a *refusal.Error, a
// *dial.Unreachable, a *NotReady, or of the host.
func (j *Joiner) Run(ctx context.Context, request Request) (local.Status, error) {
	enrollment, err := j.earlier(request)
	if err != nil {
		return local.Status{}, err
	}
	anew := enrollment.Name == ""
	if anew {
		if enrollment, err = j.enroll(ctx, request); err != nil {
			return local.Status{}, err
		}
	} else {
		j.Progress.Done(fmt.Sprintf("enrolled before as %s/%s", enrollment.Namespace, enrollment.Name))
	}
	j.Progress.Begin("start the agent")
	if err := j.Service.Start(ctx, anew); err != nil {
		return local.Status{}, fmt.Errorf("start the agent's service: %w", err)
	}
	j.Progress.Done("agent started")
	status, err := j.follow(ctx)
	if err != nil {
		return status, err
	}
	enrollment.Completed = time.Now().UTC().Truncate(time.Second)
	if err := j.Store.KeepEnrollment(enrollment); err != nil {
		return status, err
	}
	return status, nil
}

// earlier returns what an unfinished join with the same token has reached, a zero value if there was none.
func (j *Joiner) earlier(request Request) (store.Enrollment, error) {
	enrollment, err := j.Store.Enrollment()
	switch {
	case errors.Is(err, store.ErrNone):
		return store.Enrollment{}, nil
	case err != nil:
		return store.Enrollment{}, err
	case enrollment.Removed != "" || !enrollment.Completed.IsZero() || enrollment.TokenID != request.Token.ID():
		return store.Enrollment{}, &Already{enrollment}
	case enrollment.Manager != request.Manager:
		// The address was corrected: enrolling again with the same key and token is safe.
		return store.Enrollment{}, nil
	default:
		return enrollment, nil
	}
}

func (j *Joiner) enroll(ctx context.Context, request Request) (store.Enrollment, error) {
	none := store.Enrollment{}
	j.Progress.Begin("check this host")
	facts, err := j.Host.Check(ctx, request.Manager)
	if err != nil {
		return none, err
	}
	if request.Hostname != "" {
		facts.Hostname = request.Hostname
	}
	j.Progress.Done("this host is fit")
	j.Progress.Begin("enroll")
	before, err := j.Store.KeyKept()
	if err != nil {
		return none, err
	}
	response, err := j.exchange(ctx, request, facts)
	if err != nil {
		return none, j.giveUp(err, before)
	}
	enrollment := store.Enrollment{
		Manager: request.Manager, TokenID: request.Token.ID(), Joined: time.Now().UTC().Truncate(time.Second),
		Namespace: response.GetMachine().GetNamespace(), Name: response.GetMachine().GetName(),
		Group: response.GetMachine().GetGroup(), UID: response.GetMachine().GetUid(),
	}
	if err := j.Store.KeepCertificates(response.GetCertificateChain(), response.GetTrustBundle()); err != nil {
		return none, err
	}
	if err := j.Store.KeepEnrollment(enrollment); err != nil {
		return none, err
	}
	j.Progress.Done(fmt.Sprintf("enrolled as %s/%s in group %s", enrollment.Namespace, enrollment.Name, enrollment.Group))
	return enrollment, nil
}

// exchange makes the key, keeps it, and enrolls. It asks again while the manager says that this may help.
func (j *Joiner) exchange(ctx context.Context, request Request, facts *hawserv1.HostFacts) (*hawserv1.EnrollResponse, error) {
	if err := j.Store.Prepare(); err != nil {
		return nil, err
	}
	key, err := j.Store.Key()
	if err != nil {
		return nil, err
	}
	csr, err := store.SigningRequest(key)
	if err != nil {
		return nil, err
	}
	for began := time.Now(); ; {
		facts.UnixTime = time.Now().Unix()
		response, err := j.Enroller.Enroll(ctx, request, &hawserv1.EnrollRequest{Token: request.Token.Reveal(), Csr: csr, Host: facts})
		if err == nil || !worthRepeating(err, time.Since(began)) {
			return response, err
		}
		j.Progress.Note(err.Error())
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// pause between attempts to enroll.
const pause = 500 * time.Millisecond

func worthRepeating(err error, since time.Duration) bool {
	if refused := (*refusal.Error)(nil); errors.As(err, &refused) {
		return refused.Retry
	}
	if away := (*dial.Unreachable)(nil); errors.As(err, &away) {
		return since < patience && !away.Final
	}
	return false
}

// giveUp removes the key that this join made, unless the manager may have taken the token for it: then the next attempt
// needs the same key.
func (j *Joiner) giveUp(err error, before bool) error {
	var refused *refusal.Error
	var away *dial.Unreachable
	untaken := errors.As(err, &refused) || errors.As(err, &away) && away.Unsent
	if before || !untaken {
		return err
	}
	return errors.Join(err, j.Store.Forget())
}
