package admission

import (
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// NewMachine is the object of a machine that is admitted.
func NewMachine(machine facts.Machine, admitted time.Time) *v1alpha1.Machine {
	object := &v1alpha1.Machine{
		ObjectMeta: meta.ObjectMeta{
			Namespace: machine.Namespace,
			Name:      machine.Name,
			Labels:    map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelGroup: machine.Group},
		},
		Spec: v1alpha1.MachineSpec{Group: machine.Group, KeyFingerprint: machine.KeyFingerprint},
	}
	Admitted(object, admitted)
	return object
}

// Admitted notes on a Machine when its key was admitted.
func Admitted(machine *v1alpha1.Machine, at time.Time) {
	meta.SetMetaDataAnnotation(&machine.ObjectMeta, v1alpha1.AnnotationAdmitted, at.UTC().Format(milliseconds))
}

// milliseconds as stamps count them.
const milliseconds = "2006-01-02T15:04:05.000Z07:00"

func admittedAt(machine *v1alpha1.Machine) (time.Time, error) {
	return time.Parse(milliseconds, machine.Annotations[v1alpha1.AnnotationAdmitted])
}

// returning has a Machine belong to the machine with the stamp. Until that is noted in the book, the Machine says so: whoever served it then would
// have it come back again after somebody had deleted it.
func returning(machine *v1alpha1.Machine, stamp identity.Stamp) *v1alpha1.Machine {
	Admitted(machine, stamp.Time())
	meta.SetMetaDataAnnotation(&machine.ObjectMeta, v1alpha1.AnnotationReturning, stamp.String())
	return machine
}
