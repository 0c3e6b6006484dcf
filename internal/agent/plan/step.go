package plan

import (
	"fmt"
	"io/fs"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Step is one change to a host. The kinds below are all there are. Taking a step twice, or again after it was cut off, leads to
// the same host. String is one line for logs and `hawser-agent status`; it holds no secret.
type Step interface {
	fmt.Stringer
	step()
}

// CreateAccount makes user and group istio-proxy with number 1337.
type CreateAccount struct{}

// MakeDirectory makes a directory, or gives an existing one its mode and owner.
type MakeDirectory struct {
	Path  string
	Mode  fs.FileMode
	Owner Owner
}

// InstallVersion brings the proxy's files of one image to VersionDirectory(Digest): all of them, checked, or none.
type InstallVersion struct {
	// Digest in hex, without the algorithm.
	Digest string
	// Version of Istio, for humans.
	Version  string
	MinGlibc string
	Files    []*hawserv1.ProxyFile
}

// WriteFile replaces a file atomically.
type WriteFile struct {
	Path    string
	Mode    fs.FileMode
	Owner   Owner
	Content []byte
	// Block: the file belongs to the host and only a marked block in it is Hawser's. Mode and owner stay as they are.
	Block bool
	// Secret keeps the content out of logs and of the ledger.
	Secret bool
}

// Link makes or replaces a symbolic link.
type Link struct {
	Path, Target string
	Owner        Owner
}

// Unmask removes the link by which a unit of Hawser's is masked.
type Unmask struct{ Path string }

// ReloadUnits makes systemd read its unit files again.
type ReloadUnits struct{}

// StartProxy starts a slot's unit and returns when systemd has started its process.
type StartProxy struct{ Slot Slot }

// RestartProxy restarts a slot's unit.
type RestartProxy struct {
	Slot   Slot
	Reason string
}

// AwaitProxy waits until the slot's proxy says that it is ready for traffic.
type AwaitProxy struct{ Slot Slot }

// Intercept applies the traffic rules under the dead man's switch: unless ConfirmInterception follows, they undo themselves.
type Intercept struct{ Rules Rules }

// ConfirmInterception checks that the manager and SSH are still within reach and disarms the dead man's switch; if they are not,
// it takes the rules away at once.
type ConfirmInterception struct{ Rules Rules }

// EndInterception takes the traffic rules away.
type EndInterception struct{ Backend Backend }

// RouteLookups leads lookups of the cluster's zones to the proxy through systemd-resolved.
type RouteLookups struct{ Lookups Lookups }

// EndLookups takes that away.
type EndLookups struct{}

// RemoveVersion deletes the files of an image that no slot uses.
type RemoveVersion struct{ Digest string }

func (CreateAccount) step()       {}
func (MakeDirectory) step()       {}
func (InstallVersion) step()      {}
func (WriteFile) step()           {}
func (Link) step()                {}
func (Unmask) step()              {}
func (ReloadUnits) step()         {}
func (StartProxy) step()          {}
func (RestartProxy) step()        {}
func (AwaitProxy) step()          {}
func (Intercept) step()           {}
func (ConfirmInterception) step() {}
func (EndInterception) step()     {}
func (RouteLookups) step()        {}
func (EndLookups) step()          {}
func (RemoveVersion) step()       {}

func (CreateAccount) String() string {
	return fmt.Sprintf("create account %s (%d)", AccountName, AccountID)
}

func (s MakeDirectory) String() string {
	return fmt.Sprintf("make directory %s %04o %s", s.Path, s.Mode, s.Owner)
}

func (s InstallVersion) String() string {
	return fmt.Sprintf("install proxy %s (%.12s)", s.Version, s.Digest)
}

func (s WriteFile) String() string {
	switch {
	case s.Block:
		return "edit " + s.Path
	default:
		return fmt.Sprintf("write %s %04o %s", s.Path, s.Mode, s.Owner)
	}
}

func (s Link) String() string { return fmt.Sprintf("link %s to %s", s.Path, s.Target) }

func (s Unmask) String() string { return "unmask " + s.Path }

func (ReloadUnits) String() string { return "reload systemd's units" }

func (s StartProxy) String() string { return fmt.Sprintf("start proxy in slot %s", s.Slot) }

func (s RestartProxy) String() string {
	return fmt.Sprintf("restart proxy in slot %s: %s", s.Slot, s.Reason)
}

func (s AwaitProxy) String() string {
	return fmt.Sprintf("wait for proxy in slot %s to be ready", s.Slot)
}

func (s Intercept) String() string { return "intercept traffic: " + s.Rules.String() }

func (ConfirmInterception) String() string {
	return "confirm interception: manager and SSH are within reach"
}

func (s EndInterception) String() string { return fmt.Sprintf("end interception (%s)", s.Backend) }

func (s RouteLookups) String() string {
	return fmt.Sprintf("route lookups of %s to the proxy", strings.Join(s.Lookups.Domains(), " "))
}

func (EndLookups) String() string { return "end routing of lookups" }

func (s RemoveVersion) String() string { return fmt.Sprintf("remove proxy version %.12s", s.Digest) }
