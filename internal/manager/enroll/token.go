package enroll

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

// attempts at a write that others may do at the same time. A token for many machines is the worst case: each attempt that fails means
// that another machine got on.
const attempts = 20

// authentic returns the token's object if the secret is right. Nobody learns anything else about a token without it.
func (s *Service) authentic(ctx context.Context, token jointoken.Token) (*v1alpha1.JoinToken, error) {
	object, err := s.Tokens.Token(ctx, types.NamespacedName{Namespace: token.Namespace, Name: token.Name})
	if apierrors.IsNotFound(err) {
		return nil, refusal.New(refusal.TokenUnknown, "token", token.ID())
	}
	if err != nil {
		return nil, busy("look up the join token", err)
	}
	if !token.Matches(object.Spec.SecretHash) {
		return nil, refusal.New(refusal.TokenForged, "token", token.ID())
	}
	return object, nil
}

// tokenAdmits decides whether the token lets the host in with this key.
func (s *Service) tokenAdmits(token *v1alpha1.JoinToken, host *hawserv1.HostFacts, fingerprint string) error {
	spec, common := token.Spec, []any{"token", tokenID(token), "group", token.Namespace + "/" + token.Spec.Group}
	refuse := func(reason refusal.Reason, attributes ...any) error {
		return refusal.New(reason, append(attributes, common...)...)
	}
	switch {
	case spec.Revoked:
		return refuse(refusal.TokenRevoked)
	case !s.Now().Before(spec.ExpiresAt.Time):
		return refuse(refusal.TokenExpired, "expired", spec.ExpiresAt.UTC().Format(time.RFC3339))
	case usedUp(token, fingerprint):
		return refuse(refusal.TokenUsed, "machines", usedBy(token))
	case spec.Hostname != "" && !strings.EqualFold(spec.Hostname, host.GetHostname()):
		return refuse(refusal.TokenHostnameMismatch, "wanted", spec.Hostname, "hostname", quoted(host.GetHostname()))
	case len(spec.CIDRs) > 0 && !within(host.GetAddresses(), spec.CIDRs):
		return refuse(refusal.TokenAddressMismatch, "cidrs", strings.Join(spec.CIDRs, ", "), "addresses", addresses(host))
	}
	return nil
}

// use notes on the token that the machine joined with it. Of two hosts that use the last use at once the API server lets one win; the
// same key uses it once however often it comes.
func (s *Service) use(ctx context.Context, token *v1alpha1.JoinToken, machine facts.Machine) error {
	key := types.NamespacedName{Namespace: token.Namespace, Name: token.Name}
	for range attempts {
		if hasUsed(token, machine.KeyFingerprint) {
			return nil
		}
		if usedUp(token, machine.KeyFingerprint) {
			return refusal.New(refusal.TokenUsed, "token", tokenID(token), "machines", usedBy(token), "group", machine.GroupKey())
		}
		changed := token.DeepCopy()
		changed.Status.Uses = append(changed.Status.Uses, v1alpha1.JoinTokenUse{
			Machine: machine.Name, KeyFingerprint: machine.KeyFingerprint, Time: meta.NewTime(s.Now()),
		})
		err := s.Tokens.UpdateTokenStatus(ctx, changed)
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) {
			return busy("note the use of the join token", err)
		}
		token, err = s.Tokens.Token(ctx, key)
		if apierrors.IsNotFound(err) {
			return refusal.New(refusal.TokenUnknown, "token", key.Namespace+"."+key.Name)
		}
		if err != nil {
			return busy("look up the join token", err)
		}
		if token.Spec.Revoked {
			return refusal.New(refusal.TokenRevoked, "token", tokenID(token), "group", machine.GroupKey())
		}
	}
	return busy("note the use of the join token", errors.New("too many joins with it at once"))
}

func hasUsed(token *v1alpha1.JoinToken, fingerprint string) bool {
	return slices.ContainsFunc(token.Status.Uses, func(use v1alpha1.JoinTokenUse) bool { return use.KeyFingerprint == fingerprint })
}

func usedUp(token *v1alpha1.JoinToken, fingerprint string) bool {
	return len(token.Status.Uses) >= int(token.Spec.MaxUses) && !hasUsed(token, fingerprint)
}

func usedBy(token *v1alpha1.JoinToken) string {
	const shown = 3
	var names []string
	for _, use := range token.Status.Uses {
		names = append(names, use.Machine)
	}
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return strings.Join(names, ", ")
}

func tokenID(token *v1alpha1.JoinToken) string { return token.Namespace + "." + token.Name }

// within reports whether one of the addresses is in one of the ranges. The addresses are the host's own word: what arrives here comes
// from the gateway. A range narrows who can use a token that leaked by accident; it does not stop a liar who has it.
func within(addresses, cidrs []string) bool {
	for _, cidr := range cidrs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			continue
		}
		for _, text := range addresses {
			if address, err := netip.ParseAddr(text); err == nil && prefix.Contains(address.Unmap()) {
				return true
			}
		}
	}
	return false
}
