package publish

import (
	"bytes"
	"reflect"
	"sync"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/desired"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// states has the desired states of the newest facts. Computing one takes a millisecond's part, most of it to write mesh.yaml, and the
// states of a group's machines are the same but for their names: so one is computed for each group, and its machines' are made of it.
// The zero value is ready.
type states struct {
	mu sync.Mutex
	// facts that the templates are of.
	facts     facts.Facts
	templates map[kind]*template
	// before are those of the facts before: one whose state did not change goes on to be the same.
	before map[kind]*template
}

// kind is what a state follows from besides the facts and the machine's name and UID.
type kind struct {
	group        types.NamespacedName
	architecture string
	// account that the machine's token is of.
	account string
}

// standIn is the name of no machine: it stands where the name goes.
const standIn = "hawser-machine-name-goes-here"

func kindOf(machine facts.Machine) kind {
	return kind{group: machine.GroupKey(), architecture: machine.Architecture, account: machine.ServiceAccount}
}

// template is the state of all machines of a kind, or the problem that they have.
type template struct {
	kind   kind
	facts  facts.Facts
	result desired.Result
}

// of returns the template of a machine's state. It is the same pointer as long as the state is the same.
func (s *states) of(newest func() facts.Facts, machine facts.Machine) *template {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew(newest())
	k := kindOf(machine)
	if t := s.templates[k]; t != nil {
		return t
	}
	t := k.template(s.facts)
	if old := s.before[k]; old != nil && reflect.DeepEqual(old.result.Problem, t.result.Problem) && proto.Equal(old.result.State, t.result.State) {
		t = old
	}
	s.templates[k] = t
	return t
}

// renew has the templates be of the facts. Each is made when it is asked for, so one that nobody asks for any more goes.
func (s *states) renew(f facts.Facts) {
	if s.templates != nil && same(s.facts, f) {
		return
	}
	s.facts, s.before, s.templates = f, s.templates, map[kind]*template{}
}

func (k kind) template(f facts.Facts) *template {
	// What machines there are does not matter, and a template must not keep them.
	f.Machines = nil
	return &template{kind: k, facts: f, result: desired.Compute(f, facts.Machine{
		NamespacedName: types.NamespacedName{Namespace: k.group.Namespace, Name: standIn}, Group: k.group.Name, Architecture: k.architecture,
		ServiceAccount: k.account,
	})}
}

// fill returns what desired.Compute returns for the machine, whose name is written so in YAML. Parts of the state are shared with other machines'
// and must not be changed.
func (t *template) fill(machine facts.Machine, written []byte) desired.Result {
	if t.result.Problem != nil {
		return desired.Compute(t.facts, machine)
	}
	from := t.result.State
	state := &hawserv1.DesiredState{
		Machine:      &hawserv1.MachineRef{Namespace: machine.Namespace, Name: machine.Name, Group: machine.Group, Uid: string(machine.UID)},
		Revision:     from.Revision,
		Mesh:         named(from.Mesh, machine.Name, written),
		Proxy:        from.Proxy,
		Interception: from.Interception,
		Dns:          from.Dns,
		Unit:         from.Unit,
		Health:       from.Health,
		Notices:      from.Notices,
	}
	state.Generation = desired.Generation(state)
	return desired.Result{State: state}
}

// writtenName is how a line of mesh.yaml goes on after its key that has the name. It is the costly part of a state, and stays the same.
func writtenName(name string) []byte {
	// A text always encodes; one that looks like a number gets quotes. The result ends with a line feed.
	encoded, _ := yaml.Marshal(name)
	return append([]byte(": "), encoded...)
}

// named puts the name where the stand-in is: it is the whole value of some variables and of some lines of mesh.yaml.
func named(from *hawserv1.MeshConfig, name string, written []byte) *hawserv1.MeshConfig {
	config := &hawserv1.MeshConfig{
		MeshYaml:         bytes.ReplaceAll(from.MeshYaml, []byte(": "+standIn+"\n"), written),
		RootCertificates: from.RootCertificates,
		HostAliases:      from.HostAliases,
		DiscoveryAddress: from.DiscoveryAddress,
		Environment:      make([]*hawserv1.EnvVar, len(from.Environment)),
	}
	for i, variable := range from.Environment {
		if variable.Value == standIn {
			variable = &hawserv1.EnvVar{Name: variable.Name, Value: name}
		}
		config.Environment[i] = variable
	}
	return config
}

// same tells whether two snapshots have the same facts, but for the machines: snapshots share what did not change between them.
func same(a, b facts.Facts) bool {
	return a.IstioNamespace == b.IstioNamespace && a.ClusterDomain == b.ClusterDomain &&
		facts.Shared(a.Namespaces, b.Namespaces) && facts.Shared(a.Groups, b.Groups) && facts.Shared(a.Policies, b.Policies) &&
		facts.Shared(a.Revisions, b.Revisions) && facts.Shared(a.Tags, b.Tags) && facts.Shared(a.RootCertificates, b.RootCertificates) &&
		facts.Shared(a.Proxies, b.Proxies) && len(a.Gateways) == len(b.Gateways) && (len(a.Gateways) == 0 || &a.Gateways[0] == &b.Gateways[0])
}
