package plan

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Thing is what of the host a step makes right, in the words that people read: two steps with the same one repair the same. It is
// empty for steps that only follow from others, and for those that take away what nobody would put back.
func Thing(step Step) string {
	switch s := step.(type) {
	case CreateAccount:
		return "user " + AccountName
	case MakeDirectory:
		return s.Path
	case WriteFile:
		return s.Path
	case Link:
		return s.Path
	case Unmask:
		return "mask " + s.Path
	case InstallVersion:
		return "proxy files of Istio " + s.Version
	case StartProxy:
		return "unit " + s.Slot.Unit()
	case RestartProxy:
		return "unit " + s.Slot.Unit()
	case Intercept, EndInterception:
		return "traffic rules"
	case StartBeside:
		return "unit " + s.Slot.Unit()
	case RouteLookups, EndLookups, LeadLookups:
		return "lookups of cluster names"
	default:
		return ""
	}
}

// Rendering says what a step makes of its thing: equal ones want the same, so that the host must have changed in between. Starting a
// proxy and starting it again want the same: that it runs.
func Rendering(step Step) string {
	switch s := step.(type) {
	case WriteFile:
		content := s.Content
		if s.Block {
			content = block(content)
		}
		return fmt.Sprintf("%s %x", s, sha256.Sum256(content))
	case InstallVersion:
		return s.Digest
	case StartProxy, RestartProxy, StartBeside:
		return "running"
	default:
		return step.String()
	}
}

// Placed is what has to be on the host, as renderings by thing: what would be planned if nothing of it were there. Whatever else a plan
// follows, such as the host's address and its resolvers, is taken from have.
func Placed(want *hawserv1.DesiredState, have Observed) map[string]string {
	slot := ActiveSlot(have)
	bare := have
	bare.Account, bare.Versions, bare.UnitMissing = false, nil, true
	bare.Files = map[string]File{}
	for _, mask := range masks(slot) {
		bare.Files[mask] = File{Mode: fs.ModeSymlink, Target: maskTarget}
	}
	// It stays the slot that runs. The search domains tell those of the host from Hawser's.
	bare.Units = map[Slot]Unit{slot: {Active: true}}
	bare.Interception, bare.Lookups = Interception{}, Lookups{Search: have.Lookups.Search}
	placed := map[string]string{}
	for _, step := range Compute(want, bare) {
		if thing := Thing(step); thing != "" {
			placed[thing] = Rendering(step)
		}
	}
	return placed
}

// needs tells whether step cannot be taken while the thing of left is not right.
func needs(step, left Step) bool {
	switch s := left.(type) {
	case MakeDirectory:
		return below(step, s.Path)
	case WriteFile:
		// The proxy would come back by the same names to the same address.
		_, ends := step.(EndConnections)
		return ends && s.Path == HostsFile
	case CreateAccount, InstallVersion, Unmask:
		return startsProxy(step)
	case StartProxy, RestartProxy, StartBeside:
		_, awaits := step.(AwaitProxy)
		return awaits || startsProxy(step) || leadsToProxy(step)
	case AwaitProxy:
		return leadsToProxy(step)
	case Intercept:
		_, confirms := step.(ConfirmInterception)
		return confirms
	}
	return false
}

func below(step Step, directory string) bool {
	at := Thing(step)
	return path.IsAbs(at) && len(at) > len(directory) && at[:len(directory)] == directory && at[len(directory)] == '/'
}

func startsProxy(step Step) bool {
	switch step.(type) {
	case StartProxy, RestartProxy, StartBeside:
		return true
	}
	return false
}

// leadsToProxy: without a proxy that runs, what it does leads to nowhere.
func leadsToProxy(step Step) bool {
	switch step.(type) {
	case Intercept, ConfirmInterception, RouteLookups, LeadLookups:
		return true
	}
	return false
}

// Without splits steps into those that can be taken and those that are not to be, or that need one of them.
func Without(steps []Step, not func(Step) bool) (take, left []Step) {
	for _, step := range steps {
		spared := not(step)
		for _, other := range left {
			spared = spared || needs(step, other)
		}
		if spared {
			left = append(left, step)
		} else {
			take = append(take, step)
		}
	}
	return take, left
}
