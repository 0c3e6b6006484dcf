package admission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// world is an API server with a book, at most one Machine, and a group. Each write counts, and the one that is numbered kill fails, and all after it.
type world struct {
	t       *testing.T
	clock   time.Time
	version int
	page    *core.ConfigMap
	machine *v1alpha1.Machine
	noGroup bool
	did     []string
	writes  int
	kill    int
	log     bytes.Buffer
}

var (
	_ ConfigMaps  = (*world)(nil)
	_ Machines    = (*world)(nil)
	_ IstioTokens = (*world)(nil)
	_ Events      = (*world)(nil)
)

var errKilled = errors.New("killed")

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: at(), page: newPage(book{name: "0123456789abcdef"})}
	w.page.ResourceVersion = "0"
	return w
}

// state is what a snapshot has.
type state struct {
	page    *core.ConfigMap
	machine *v1alpha1.Machine
}

func (w *world) save() state { return state{w.page.DeepCopy(), w.machine.DeepCopy()} }

// restore puts the state back. Versions go on, as a restore should have them do.
func (w *world) restore(s state) { w.page, w.machine = s.page.DeepCopy(), s.machine.DeepCopy() }

// write counts one.
func (w *world) write(what string, arguments ...any) (version string, err error) {
	w.writes++
	if w.kill > 0 && w.writes >= w.kill {
		return "", errKilled
	}
	w.did = append(w.did, fmt.Sprintf(what, arguments...))
	w.version++
	return strconv.Itoa(w.version), nil
}

func (w *world) Get(context.Context, string, meta.GetOptions) (*core.ConfigMap, error) {
	if w.page == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, ConfigMapName)
	}
	return w.page.DeepCopy(), nil
}

func (w *world) Create(_ context.Context, page *core.ConfigMap, _ meta.CreateOptions) (*core.ConfigMap, error) {
	version, err := w.write("begin a book")
	if err != nil {
		return nil, err
	}
	w.page = page.DeepCopy()
	w.page.ResourceVersion = version
	return w.page, nil
}

func (w *world) Update(_ context.Context, page *core.ConfigMap, _ meta.UpdateOptions) (*core.ConfigMap, error) {
	if page.ResourceVersion != w.page.ResourceVersion {
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, ConfigMapName, errors.New("changed"))
	}
	version, err := w.write("note")
	if err != nil {
		return nil, err
	}
	w.page = page.DeepCopy()
	w.page.ResourceVersion = version
	return w.page, nil
}

func machines() schema.GroupResource { return schema.GroupResource{Resource: "machines"} }

func (w *world) GetMachine(_ context.Context, key types.NamespacedName) (*v1alpha1.Machine, error) {
	if w.machine == nil {
		return nil, apierrors.NewNotFound(machines(), key.Name)
	}
	return w.machine.DeepCopy(), nil
}

func (w *world) CreateMachine(_ context.Context, machine *v1alpha1.Machine) error {
	if w.machine != nil {
		return apierrors.NewAlreadyExists(machines(), machine.Name)
	}
	version, err := w.write("create %s of %s, key %s", machine.Name, machine.Spec.Group, machine.Spec.KeyFingerprint)
	if err != nil {
		return err
	}
	machine.ResourceVersion, machine.UID = version, types.UID("uid-"+version)
	w.machine = machine.DeepCopy()
	return nil
}

func (w *world) UpdateMachine(_ context.Context, machine *v1alpha1.Machine) error {
	if w.machine == nil {
		return apierrors.NewNotFound(machines(), machine.Name)
	}
	if machine.ResourceVersion != w.machine.ResourceVersion {
		return apierrors.NewConflict(machines(), machine.Name, errors.New("changed"))
	}
	version, err := w.write("update %s, key %s", machine.Name, machine.Spec.KeyFingerprint)
	if err != nil {
		return err
	}
	machine.ResourceVersion = version
	w.machine = machine.DeepCopy()
	return nil
}

func (w *world) Revoke(context.Context, types.NamespacedName) error {
	_, err := w.write("void tokens")
	return err
}

func (w *world) Eventf(_, _ runtime.Object, kind, reason, _, note string, arguments ...any) {
	w.did = append(w.did, fmt.Sprintf("event %s %s: ", kind, reason)+fmt.Sprintf(note, arguments...))
}

// keeper is a manager process that starts.
func (w *world) keeper() *Keeper { return NewKeeper(w, func() time.Time { return w.clock }) }

func (w *world) readmitter() *Readmitter {
	return NewReadmitter(Options{
		Keeper: w.keeper(), Machines: w, Tokens: w, Events: w, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
		GroupExists: func(context.Context, types.NamespacedName) (bool, error) { return !w.noGroup, nil },
		Facts: func(m *v1alpha1.Machine) facts.Machine {
			return facts.Machine{UID: m.UID, KeyFingerprint: m.Spec.KeyFingerprint, Group: m.Spec.Group, Returning: m.Annotations[v1alpha1.AnnotationReturning] != ""}
		},
	})
}
