package record

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
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

// maxClones bounds that list; the oldest fall out.
const maxClones = 16

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
// and its address. It asks by way of the Machine object, which all replicas see. A host that was refused before is not asked for. If the API
// server does not answer nobody is taken for a clone.
func (r *Recorder) Elsewhere(ctx context.Context, machine facts.Machine, instance, bootID string) (address string, there bool) {
	ctx, cancel := context.WithTimeout(ctx, challengePatience)
	defer cancel()
	// Nearly all calls are of agents that come back: they cost no call of the API server.
	var object v1alpha1.Machine
	err := r.Cached.Get(ctx, machine.NamespacedName, &object)
	switch {
	case err != nil, object.UID != machine.UID:
		// It joined a moment ago.
		return "", false
	case refusedBefore(&object, instance, bootID):
		return object.Status.Address, true
	case !r.heldElsewhere(&object, instance):
		return "", false
	}
	if there, err = r.challenge(ctx, machine); err != nil {
		r.Logger.Warn("could not ask for another host of the machine", "machine", machine.String(), "error", err)
	}
	return object.Status.Address, there
}

func refusedBefore(machine *v1alpha1.Machine, instance, bootID string) bool {
	return slices.ContainsFunc(strings.Fields(machine.Annotations[v1alpha1.AnnotationClones]), func(mark string) bool {
		return mark == instance || mark == bootID
	})
}

// heldElsewhere: agents that name no instance cannot be asked, and an agent that comes back has no rival in itself.
func (r *Recorder) heldElsewhere(machine *v1alpha1.Machine, instance string) bool {
	if machine.Status.Connection == nil || machine.Status.Connection.Manager == r.Pod {
		return false
	}
	other := instanceOf(machine.Status.Connection.Session)
	return other != "" && other != instance
}

// challenge returns whether the other replica's agent has answered before ctx ended.
func (r *Recorder) challenge(ctx context.Context, machine facts.Machine) (met bool, err error) {
	id := rand.Text()
	if err := r.annotate(ctx, machine, annotationChallenge, func(*v1alpha1.Machine, string) string { return id }); err != nil {
		return false, err
	}
	// What was asked must not stay, whatever became of it.
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), challengePatience)
		defer cancel()
		if failure := r.annotate(cleaning, machine, annotationChallenge, func(_ *v1alpha1.Machine, now string) string {
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

// annotate changes an annotation of a machine, "" is none. It is tried again when somebody else has changed the object.
func (r *Recorder) annotate(ctx context.Context, machine facts.Machine, key string, change func(object *v1alpha1.Machine, now string) string) error {
	for {
		object, err := r.liveMachine(ctx, machine.NamespacedName, machine.UID)
		if err != nil || object == nil {
			return err
		}
		now := object.Annotations[key]
		next := change(object, now)
		if next == now {
			return nil
		}
		put(object, key, next)
		if err := r.Writer.Update(ctx, object); !apierrors.IsConflict(err) {
			return err
		}
	}
}

func put(machine *v1alpha1.Machine, key, value string) {
	if value == "" {
		delete(machine.Annotations, key)
		return
	}
	meta.SetMetaDataAnnotation(&machine.ObjectMeta, key, value)
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
	put(machine, annotationChallenge, challenge+answer)
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
		r.enqueue(machine, ordinary, 0)
	}
}

// reasonCloned is the Event's on a machine of which a copy has come.
const reasonCloned = "Cloned"

// Cloned tells the machine's owner that a host was refused, as it is a copy of the machine, which is connected; the host stays refused. A call
// that no stream goes with has no host.
func (r *Recorder) Cloned(ctx context.Context, machine facts.Machine, instance string, host *hawserv1.HostFacts) {
	var seen *v1alpha1.Machine
	err := r.annotate(ctx, machine, v1alpha1.AnnotationClones, func(object *v1alpha1.Machine, now string) string {
		seen = object
		mark := instance
		if id := host.GetBootId(); id != "" && object.Status.Connection != nil && object.Status.Connection.BootID != id {
			mark = id
		}
		marks := strings.Fields(now)
		if mark == "" || len(mark) > maxInstance || strings.ContainsAny(mark, " \t\n") || slices.Contains(marks, mark) {
			return now
		}
		marks = append(marks, mark)
		return strings.Join(marks[max(0, len(marks)-maxClones):], " ")
	})
	if err != nil {
		r.Logger.Warn("a clone could not be kept in mind", "machine", machine.String(), "error", err)
	}
	if seen == nil {
		return
	}
	address := "an unknown address"
	if len(host.GetAddresses()) > 0 {
		address = short(host.GetAddresses()[0])
	}
	r.Events.Eventf(seen, nil, core.EventTypeWarning, reasonCloned, "Record",
		"a host at %s has this machine's key and certificate, as a copy of its disk has, and was refused: give it a hostname and a join token of its own", address)
}
