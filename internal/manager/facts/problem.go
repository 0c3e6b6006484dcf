package facts

// Reasons why there is no desired state, or no proxy, for a machine.
const (
	ReasonGroupNotFound           = "GroupNotFound"
	ReasonRevisionUnknown         = "RevisionUnknown"
	ReasonRevisionConflict        = "RevisionConflict"
	ReasonRevisionInvalid         = "RevisionInvalid"
	ReasonProxyConfigInvalid      = "ProxyConfigInvalid"
	ReasonRootCertificateMissing  = "RootCertificateMissing"
	ReasonNoGateway               = "NoGateway"
	ReasonProxyPending            = "ProxyPending"
	ReasonImageUnavailable        = "ImageUnavailable"
	ReasonImageUnauthorized       = "ImageUnauthorized"
	ReasonImageInvalid            = "ImageInvalid"
	ReasonArchitectureUnsupported = "ArchitectureUnsupported"
)

// ReasonAccountPending is of a problem and of a notice alike: there is a state, and it is not all that the group asks for.
const ReasonAccountPending = "ServiceAccountPending"

// Reasons of notices: there is a state, but its owner should know something about it.
const (
	NoticePolicyConflict      = "PolicyConflict"
	NoticeGatewayUnresolved   = "GatewayUnresolved"
	NoticeLabelsOverridden    = "LabelsOverridden"
	NoticeDiscoveryNotAliased = "DiscoveryNotAliased"
	NoticeConfigIgnored       = "ConfigIgnored"
)

// Problem is a fact that stands in a machine's way: a reason from the list above, what is the matter with which object, and what
// to do about it. It is an error, so that it can be wrapped and found with errors.As.
type Problem struct {
	Reason  string
	Message string
	Next    string
}

// Error gives message and next step.
func (p *Problem) Error() string {
	if p.Next == "" {
		return p.Message
	}
	return p.Message + "; " + p.Next
}

// Awaited reports whether the problem goes away by itself: nothing is wrong yet.
func (p *Problem) Awaited() bool { return p.Reason == ReasonProxyPending }

// Notice is something that a machine's owner should know.
type Notice struct {
	Reason  string
	Message string
}
