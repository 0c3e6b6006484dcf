package record

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// annotationChallenge asks the replica that has the machine's stream whether its agent is there. Its value is a random id; that replica adds
// answered when the agent has said so, or gone if the stream has ended, and who asked removes it.
const (
	annotationChallenge = "hawser.io/challenge"
	answered            = " answered"
	gone                = " gone"
)

const (
	// challengePatience is how long the other replica and its agent may take, challengeLook how often is looked.
	challengePatience = 3 * time.Second
	challengeLook     = 50 * time.Millisecond
)

// maxInstance bounds what an agent calls itself.
const maxInstance = 64

// SessionID makes the ID of a stream of the agent that is this instance, empty if it names none.
func SessionID(instance string) string {
	if instance == "" || len(instance) > maxInstance || strings.Contains(instance, ".") {
		return rand.Text()
	}
	return instance + "." + rand.Text()
}

// instanceOf is the agent's that a session is of, empty if it named none.
func instanceOf(session string) string {
	instance, _, named := strings.Cut(session, ".")
	if !named {
		return ""
	}
	return instance
}

// Elsewhere reports whether the machine's stream to another replica is of another instance of the agent than this one, and that one is there;
// and its address. It asks by way of the Machine object, which all replicas see. If the API server does not answer nobody is taken for a clone.
func (r *Recorder) Elsewhere(ctx context.Context, machine facts.Machine, instance string) (address string, there bool) {
	ctx, cancel := context.WithTimeout(ctx, challengePatience)
	defer cancel()
	object, err := r.liveMachine(ctx, machine.NamespacedName, machine.UID)
	if err == nil && r.heldElsewhere(object, instance) {
		there, err = r.challenge(ctx, machine)
		address = object.Status.Address
	}
	if err != nil {
		r.Logger.Warn("could not ask for another host of the machine", "machine", machine.String(), "error", err)
	}
	return address, there
}

// heldElsewhere: agents that name no instance cannot be asked, and an agent that comes back has no rival in itself.
func (r *Recorder) heldElsewhere(machine *v1alpha1.Machine, instance string) bool {
	if machine == nil || machine.Status.Connection == nil || machine.Status.Connection.Manager == r.Pod {
		return false
	}
	other := instanceOf(machine.Status.Connection.Session)
	return other != "" && other != instance
}

// challenge returns whether the other replica's agent has answered before ctx ended.
func (r *Recorder) challenge(ctx context.Context, machine facts.Machine) (met bool, err error) {
	id := rand.Text()
	if err := r.annotate(ctx, machine, func(string) string { return id }); err != nil {
		return false, err
	}
	// What was asked must not stay, whatever became of it.
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), challengePatience)
		defer cancel()
		if failure := r.annotate(cleaning, machine, func(now string) string {
			if strings.HasPrefix(now, id) {
				return ""
			}
			return now
		}); failure != nil && err == nil {
			err = failure
		}
	}()
	ticker := time.NewTicker(challengeLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-ticker.C:
		}
		object, err := r.liveMachine(ctx, machine.NamespacedName, machine.UID)
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err != nil:
			return false, err
		case object == nil || object.Status.Connection == nil || object.Annotations[annotationChallenge] == id+gone:
			return false, nil
		case object.Annotations[annotationChallenge] == id+answered:
			return true, nil
		}
	}
}

// annotate changes the challenge of a machine, "" is none. It is tried again when somebody else has changed the object.
func (r *Recorder) annotate(ctx context.Context, machine facts.Machine, change func(now string) string) error {
	for {
		object, err := r.liveMachine(ctx, machine.NamespacedName, machine.UID)
		if err != nil || object == nil {
			return err
		}
		now := object.Annotations[annotationChallenge]
		next := change(now)
		if next == now {
			return nil
		}
		challenged(object, next)
		if err := r.Writer.Update(ctx, object); !apierrors.IsConflict(err) {
			return err
		}
	}
}

func challenged(machine *v1alpha1.Machine, challenge string) {
	if challenge == "" {
		delete(machine.Annotations, annotationChallenge)
		return
	}
	if machine.Annotations == nil {
		machine.Annotations = map[string]string{}
	}
	machine.Annotations[annotationChallenge] = challenge
}

// meet answers another replica's challenge once the agent of the session has said that it is there, and has it asked before. It reports
// whether it wrote.
func (r *Recorder) meet(ctx context.Context, machine *v1alpha1.Machine, o observation) (bool, error) {
	challenge := machine.Annotations[annotationChallenge]
	answer := answered
	switch {
	case challenge == "" || strings.Contains(challenge, " ") || o.Ask == nil:
		return false, nil
	case !o.lost.IsZero():
		// Who asks need not wait.
		answer = gone
	case o.met != challenge:
		if r.asks(o, challenge) {
			o.Ask(func() { r.met(o.Machine, o.ID, challenge) })
		}
		return false, nil
	}
	challenged(machine, challenge+answer)
	if err := r.Writer.Update(ctx, machine); err != nil {
		return false, fmt.Errorf("answer for machine %s: %w", o.Machine, err)
	}
	return true, nil
}

// asks notes that the agent is asked, once for each challenge.
func (r *Recorder) asks(o observation, challenge string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[o.Machine]
	if !ok || e.session.ID != o.ID || e.asked == challenge {
		return false
	}
	e.asked = challenge
	return true
}

func (r *Recorder) met(machine types.NamespacedName, session, challenge string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.entries[machine]; ok && e.session.ID == session {
		e.met = challenge
		r.queue.Add(machine)
	}
}

// reasonCloned is the Event's on a machine of which a copy has come.
const reasonCloned = "Cloned"

// Cloned tells the machine's owner that a host at the address was refused, as it is a copy of the machine, which is connected.
func (r *Recorder) Cloned(ctx context.Context, machine facts.Machine, address string) {
	var object v1alpha1.Machine
	if err := r.Cached.Get(ctx, machine.NamespacedName, &object); err != nil {
		r.Logger.Warn("no event of a clone", "machine", machine.String(), "error", err)
		return
	}
	if address == "" {
		address = "an unknown address"
	}
	r.Events.Eventf(&object, nil, core.EventTypeWarning, reasonCloned, "Record",
		"a host at %s has this machine's key and certificate, as a copy of its disk has, and was refused: give it a hostname and a join token of its own", short(address))
}
