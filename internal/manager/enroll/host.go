package enroll

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/desired"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

// maxSkew between the clocks of host and manager. Certificates and tokens of the mesh are valid from the second that they are made.
const maxSkew = 5 * time.Minute

// pullPatience is how long a join waits for the manager to fetch an image that it does not have yet.
const pullPatience = 20 * time.Second

// hostFits returns the machine that the host would be.
func (s *Service) hostFits(token *v1alpha1.JoinToken, host *hawserv1.HostFacts, fingerprint string) (facts.Machine, error) {
	name, err := identity.MachineName(host.GetHostname())
	if err != nil {
		return facts.Machine{}, refusal.New(refusal.HostnameInvalid, "hostname", quoted(host.GetHostname()), "error", err)
	}
	if host.GetUnixTime() <= 0 || host.GetArchitecture() == "" {
		return facts.Machine{}, s.invalid(errors.New("it does not tell the host's clock and architecture"))
	}
	theirs, ours := time.Unix(host.GetUnixTime(), 0), s.Now()
	if skew := theirs.Sub(ours).Abs(); skew > maxSkew {
		return facts.Machine{}, refusal.New(refusal.ClockSkew, "host", stamp(theirs), "manager", stamp(ours))
	}
	return facts.Machine{
		NamespacedName: types.NamespacedName{Namespace: token.Namespace, Name: name},
		Group:          token.Spec.Group,
		Architecture:   host.GetArchitecture(),
		Addresses:      host.GetAddresses(),
		KeyFingerprint: fingerprint,
	}, nil
}

// groupKnown refuses a host whose group the facts have not. They may be behind: after a time without the API server watches take up to a minute
// to come back, and nobody shall be told then to create what there is.
func (s *Service) groupKnown(ctx context.Context, group types.NamespacedName) error {
	if _, ok := s.Facts().Groups[group]; ok {
		return nil
	}
	exists, err := s.Groups.GroupExists(ctx, group)
	switch {
	case err != nil:
		return busy("look up WorkloadGroup "+group.String(), err)
	case exists:
		return refusal.New(refusal.GroupUnseen, "group", group)
	default:
		return refusal.New(refusal.GroupNotFound, "group", group)
	}
}

// proxyFits refuses a host for which there would be no desired state, or whose proxy would not run. It waits for the image.
func (s *Service) proxyFits(ctx context.Context, machine facts.Machine, host *hawserv1.HostFacts) error {
	f := s.Facts()
	image, problem := f.ProxyImageOf(f.Groups[machine.GroupKey()])
	if problem != nil {
		return refused(problem)
	}
	key := facts.ProxyKey{Image: image, Architecture: machine.Architecture}
	proxy, err := s.proxy(ctx, key)
	if err != nil {
		return err
	}
	if err := glibcFits(proxy, host.GetGlibcVersion()); err != nil {
		return err
	}
	f.Proxies = maps.Clone(f.Proxies)
	if f.Proxies == nil {
		f.Proxies = map[facts.ProxyKey]facts.ProxyState{}
	}
	f.Proxies[key] = facts.ProxyState{Proxy: &proxy}
	if problem := desired.Compute(f, machine).Problem; problem != nil {
		return refused(problem)
	}
	return nil
}

func (s *Service) proxy(ctx context.Context, key facts.ProxyKey) (facts.Proxy, error) {
	if state := s.Facts().Proxies[key]; state.Proxy != nil {
		return *state.Proxy, nil
	}
	ctx, cancel := context.WithTimeout(ctx, pullPatience)
	defer cancel()
	proxy, err := s.Proxies.Ensure(ctx, key.Image, key.Architecture)
	if err == nil {
		return proxy, nil
	}
	if problem := (*facts.Problem)(nil); errors.As(err, &problem) {
		return facts.Proxy{}, refused(problem)
	}
	return facts.Proxy{}, refusal.New(refusal.ProxyPending, "image", key.Image, "architecture", key.Architecture).Because(err)
}

func refused(problem *facts.Problem) error {
	return refusal.Found(refusal.Reason(problem.Reason), problem.Message, problem.Next)
}

func glibcFits(proxy facts.Proxy, present string) error {
	switch {
	case proxy.MinGlibc == "":
		return nil
	case present == "":
		return refusal.New(refusal.GlibcMissing, "image", proxy.Image, "needed", proxy.MinGlibc)
	case older(present, proxy.MinGlibc):
		return refusal.New(refusal.GlibcTooOld, "image", proxy.Image, "needed", proxy.MinGlibc, "present", present)
	}
	return nil
}

// older compares dotted numbers ("2.31"); what is no number counts as 0.
func older(a, b string) bool {
	left, right := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(left), len(right)) {
		if l, r := numberAt(left, i), numberAt(right, i); l != r {
			return l < r
		}
	}
	return false
}

func numberAt(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return 0
	}
	return n
}

// quoted makes what a host says of itself safe to show: short, printable, recognisable.
func quoted(text string) string { return fmt.Sprintf("%q", clipped(text)) }

// clipped makes it short.
func clipped(text string) string {
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	return strings.ToValidUTF8(text, "�")
}

func addresses(host *hawserv1.HostFacts) string {
	if len(host.GetAddresses()) == 0 {
		return "none"
	}
	return quoted(strings.Join(host.GetAddresses(), ", "))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
