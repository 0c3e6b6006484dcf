package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	istiometa "istio.io/api/meta/v1alpha1"
	networking "istio.io/api/networking/v1"
	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// annotationHealthChecks makes istiod leave an entry out of rotation unless its condition Healthy is True (istio.io/istio,
// pilot/pkg/serviceregistry/serviceentry: isHealthy).
const annotationHealthChecks = "proxy.istio.io/health-checks-enabled"

// conditionHealthy is the type of istiod's condition (pilot/pkg/model/status).
const conditionHealthy = "Healthy"

// writeEntry makes the machine's WorkloadEntry so; entry is the one that is there, nil if there is none. A new one comes without a condition,
// which istiod takes for unhealthy.
func (r *Recorder) writeEntry(ctx context.Context, machine *v1alpha1.Machine, entry *clientnetworking.WorkloadEntry, c circumstances) error {
	var err error
	if c.group != nil && c.address != "" {
		if entry, err = r.writeEntrySpec(ctx, machine, entry, c); err != nil {
			return err
		}
	}
	if entry == nil {
		return nil
	}
	return r.writeHealth(ctx, machine, entry, c.now)
}

// takeEntryOut makes the machine's entry, if it has one, say what the Machine's status does: that it takes no traffic.
func (r *Recorder) takeEntryOut(ctx context.Context, machine *v1alpha1.Machine) error {
	entry, err := r.entry(ctx, machine)
	if errors.Is(err, errForeign) {
		return nil
	}
	if err != nil || entry == nil {
		return err
	}
	return r.writeHealth(ctx, machine, entry, r.Now())
}

// errForeign: the entry of the machine's name is not the machine's.
var errForeign = errors.New("is not Hawser's")

// entry returns a copy of the machine's WorkloadEntry, nil if there is none, errForeign if it is somebody else's.
func (r *Recorder) entry(ctx context.Context, machine *v1alpha1.Machine) (*clientnetworking.WorkloadEntry, error) {
	key := client.ObjectKeyFromObject(machine)
	entry := &clientnetworking.WorkloadEntry{}
	err := r.Cached.Get(ctx, key, entry)
	if apierrors.IsNotFound(err) {
		// The cache may lag, and does not show entries that are not Hawser's.
		err = r.Live.Get(ctx, key, entry)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read WorkloadEntry %s: %w", key, err)
	case entry.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy:
		return nil, fmt.Errorf("WorkloadEntry %s is in the way of the machine of that name and %w: rename or delete it", key, errForeign)
	}
	return entry, nil
}

func (r *Recorder) writeEntrySpec(ctx context.Context, machine *v1alpha1.Machine, existing *clientnetworking.WorkloadEntry, c circumstances) (*clientnetworking.WorkloadEntry, error) {
	want := wantedEntry(machine, existing, *c.group, c.address, c.account(existing))
	switch {
	case existing == nil:
		if err := r.Writer.Create(ctx, want); err != nil {
			return nil, fmt.Errorf("create the WorkloadEntry of machine %s: %w", c.Machine, err)
		}
	case !sameEntry(existing, want):
		if err := r.Writer.Update(ctx, want); err != nil {
			return nil, fmt.Errorf("update the WorkloadEntry of machine %s: %w", c.Machine, err)
		}
	}
	return want, nil
}

// account is the ServiceAccount that callers are to expect of the machine: the one that it was given, which is the group's as soon as there is a
// token of it. Until this replica knows, the entry stays as it is.
func (c circumstances) account(existing *clientnetworking.WorkloadEntry) string {
	switch {
	case c.decision != nil && c.decision.ServiceAccount != "":
		return c.decision.ServiceAccount
	case existing != nil && existing.Spec.ServiceAccount != "":
		return existing.Spec.ServiceAccount
	}
	return c.group.ServiceAccount()
}

// wantedEntry is the machine's entry: what is Hawser's to say is set, annotations and labels of others on the object stay. Labels that the
// group had before, which are those of the existing spec, go from the object too: Istio merges those over the spec's
// (pilot/pkg/serviceregistry/serviceentry: ConvertWorkloadEntry).
func wantedEntry(machine *v1alpha1.Machine, existing *clientnetworking.WorkloadEntry, group facts.Group, address, account string) *clientnetworking.WorkloadEntry {
	entry := &clientnetworking.WorkloadEntry{}
	if existing != nil {
		entry = existing.DeepCopy()
	}
	entry.Namespace, entry.Name = machine.Namespace, machine.Name
	if entry.Labels == nil {
		entry.Labels = map[string]string{}
	}
	if entry.Annotations == nil {
		entry.Annotations = map[string]string{}
	}
	labels := group.MachineLabels()
	for label := range entry.Spec.Labels {
		delete(entry.Labels, label)
	}
	maps.Copy(entry.Labels, labels)
	entry.Labels[v1alpha1.LabelManagedBy] = v1alpha1.ManagedBy
	entry.Labels[v1alpha1.LabelMachine] = machine.Name
	entry.Annotations[annotationHealthChecks] = "true"
	controller := true
	entry.OwnerReferences = []meta.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion().String(), Kind: "Machine", Name: machine.Name, UID: machine.UID, Controller: &controller,
	}}
	template := group.Spec.GetTemplate()
	// Spec holds a mutex of protobuf: it is filled in place.
	proto.Reset(&entry.Spec)
	proto.Merge(&entry.Spec, &networking.WorkloadEntry{
		Address:        address,
		Ports:          template.GetPorts(),
		Labels:         labels,
		Network:        template.GetNetwork(),
		Locality:       template.GetLocality(),
		Weight:         template.GetWeight(),
		ServiceAccount: account,
	})
	return entry
}

func sameEntry(a, b *clientnetworking.WorkloadEntry) bool {
	return maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations) &&
		equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences) && proto.Equal(&a.Spec, &b.Spec)
}

// writeHealth makes the entry's condition say what the Machine's does.
func (r *Recorder) writeHealth(ctx context.Context, machine *v1alpha1.Machine, entry *clientnetworking.WorkloadEntry, now time.Time) error {
	told := apimeta.FindStatusCondition(machine.Status.Conditions, v1alpha1.ConditionHealthy)
	if told == nil || !setHealth(&entry.Status, *told, now) {
		return nil
	}
	if err := r.Status.Update(ctx, entry); err != nil {
		return fmt.Errorf("write the health of WorkloadEntry %s/%s: %w", entry.Namespace, entry.Name, err)
	}
	return nil
}

// setHealth reports whether it changed anything. Only a change of the condition's status counts: its message is in the Machine.
func setHealth(status *istiometa.IstioStatus, told meta.Condition, now time.Time) bool {
	at := timestamppb.New(now.Truncate(time.Second))
	want := &istiometa.IstioCondition{
		Type: conditionHealthy, Status: string(told.Status), Reason: told.Reason, Message: told.Message, LastProbeTime: at, LastTransitionTime: at,
	}
	for i, condition := range status.Conditions {
		if condition.GetType() == conditionHealthy {
			if condition.GetStatus() == want.GetStatus() {
				return false
			}
			status.Conditions[i] = want
			return true
		}
	}
	status.Conditions = append(status.Conditions, want)
	return true
}

// removeEntry deletes the WorkloadEntry of a machine that is gone, if it was that one's. The garbage collector would come to it as well,
// but traffic is not to wait for it.
func (r *Recorder) removeEntry(ctx context.Context, key types.NamespacedName, uid types.UID) error {
	entry := &clientnetworking.WorkloadEntry{}
	if err := r.Live.Get(ctx, key, entry); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read WorkloadEntry %s: %w", key, err)
	}
	owner := meta.GetControllerOf(entry)
	if owner == nil || owner.UID != uid {
		return nil
	}
	if err := r.Writer.Delete(ctx, entry, client.Preconditions{UID: &entry.UID}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete WorkloadEntry %s: %w", key, err)
	}
	return nil
}
