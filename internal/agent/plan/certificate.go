package plan

import (
	"fmt"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Certificates of the proxy, written by pilot-agent (istio.io/istio, pkg/security, OUTPUT_CERTS).
const (
	certificateFile    = "etc/certs/cert-chain.pem"
	certificateKeyFile = "etc/certs/key.pem"
)

// CertificateFile is the proxy's certificate, with those that signed it.
func (s Slot) CertificateFile() string { return s.file(certificateFile) }

// ForgetCertificate takes the proxy's certificate and its key away: they are of an identity that the proxy is not to have any more. With
// a certificate at hand the proxy shows it to istiod, which goes on renewing it and knows no workload of that name; without one it
// shows its token.
type ForgetCertificate struct {
	Slot Slot
	// Identity of the certificate, a SPIFFE ID.
	Identity string
}

func (ForgetCertificate) step() {}

func (s ForgetCertificate) String() string {
	return fmt.Sprintf("forget the proxy's certificate of %s in slot %s", s.Identity, s.Slot)
}

// Paths are the files that go.
func (s ForgetCertificate) Paths() []string {
	return []string{s.Slot.file(certificateFile), s.Slot.file(certificateKeyFile)}
}

// certificate plans that a certificate of another identity than the desired one goes, and one that a slot has from when it was used last: it may have expired since.
func (p *planner) certificate() {
	stale := p.swapping() && !p.have.Units[p.slot].Active && p.have.Identities[p.slot] != ""
	if p.renamed() || stale {
		p.add(ForgetCertificate{p.slot, p.have.Identities[p.slot]})
	}
}

// renamed reports whether the proxy gets another identity than its certificate has.
func (p *planner) renamed() bool {
	have := p.have.Identities[p.slot]
	return have != "" && !strings.HasSuffix(have, workload(p.want))
}

// workload is the end of the SPIFFE ID that the settings give the proxy (istio.io/istio, pkg/spiffe), empty if they give none. Its trust
// domain is istiod's to choose.
func workload(want *hawserv1.DesiredState) string {
	values := map[string]string{}
	for _, variable := range want.GetMesh().GetEnvironment() {
		values[variable.GetName()] = variable.GetValue()
	}
	namespace, account := values["POD_NAMESPACE"], values[variableAccount]
	if namespace == "" || account == "" {
		return ""
	}
	return "/ns/" + namespace + "/sa/" + account
}
