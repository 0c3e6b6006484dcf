package refusal

import "google.golang.org/grpc/codes"

// Reason is a stable code, CamelCase as in Kubernetes conditions.
type Reason string

// Reasons that the join token is not taken.
const (
	TokenMalformed        Reason = "TokenMalformed"
	TokenUnknown          Reason = "TokenUnknown"
	TokenForged           Reason = "TokenForged"
	TokenRevoked          Reason = "TokenRevoked"
	TokenExpired          Reason = "TokenExpired"
	TokenUsed             Reason = "TokenUsed"
	TokenHostnameMismatch Reason = "TokenHostnameMismatch"
	TokenAddressMismatch  Reason = "TokenAddressMismatch"
)

// Reasons that the host is not taken.
const (
	RequestInvalid          Reason = "RequestInvalid"
	HostnameInvalid         Reason = "HostnameInvalid"
	HostnameTaken           Reason = "HostnameTaken"
	GroupMismatch           Reason = "GroupMismatch"
	ClockSkew               Reason = "ClockSkew"
	GlibcTooOld             Reason = "GlibcTooOld"
	GlibcMissing            Reason = "GlibcMissing"
	ArchitectureUnsupported Reason = "ArchitectureUnsupported"
)

// Reasons that lie in the cluster. Their texts come from whoever found out; Found makes the refusal.
const (
	GroupNotFound     Reason = "GroupNotFound"
	GroupUnseen       Reason = "GroupUnseen"
	NoGateway         Reason = "NoGateway"
	ProxyPending      Reason = "ProxyPending"
	ImageUnavailable  Reason = "ImageUnavailable"
	ImageUnauthorized Reason = "ImageUnauthorized"
)

// Reasons that a machine which has joined is turned away.
const (
	CertificateMissing   Reason = "CertificateMissing"
	CertificateInvalid   Reason = "CertificateInvalid"
	CertificateExpired   Reason = "CertificateExpired"
	RecoveryWindowPassed Reason = "RecoveryWindowPassed"
	MachineUnknown       Reason = "MachineUnknown"
	MachineForgotten     Reason = "MachineForgotten"
	MachineRevoked       Reason = "MachineRevoked"
	KeyMismatch          Reason = "KeyMismatch"
	SessionReplaced      Reason = "SessionReplaced"
	Cloned               Reason = "Cloned"
	ArtifactUnknown      Reason = "ArtifactUnknown"
	ManagerStopping      Reason = "ManagerStopping"
	ManagerBusy          Reason = "ManagerBusy"
)

// entry words a reason. {name} stands for an attribute.
type entry struct {
	code          codes.Code
	message, next string
	// retry: it may go away without anybody doing anything.
	retry bool
}

const create = "create another token with `hawser token create --group {group}`"

// table words all reasons; only the code and retry of those with empty texts are Hawser's to say here.
func table() map[Reason]entry {
	return map[Reason]entry{
		TokenMalformed:        {code: codes.InvalidArgument, message: "the join token cannot be read: {error}", next: "copy the whole line that `hawser token create` printed"},
		TokenUnknown:          {code: codes.NotFound, message: "there is no join token {token} in this cluster", next: "check that the token is of this cluster and was not deleted, or create another with `hawser token create`"},
		TokenForged:           {code: codes.PermissionDenied, message: "join token {token} exists, but its secret is another one", next: "use the token exactly as `hawser token create` printed it, or create another"},
		TokenRevoked:          {code: codes.PermissionDenied, message: "join token {token} was revoked", next: create},
		TokenExpired:          {code: codes.PermissionDenied, message: "join token {token} expired at {expired}", next: create},
		TokenUsed:             {code: codes.PermissionDenied, message: "join token {token} is used up: {machines} joined with it", next: create + "; each host needs its own, unless it was made with --uses"},
		TokenHostnameMismatch: {code: codes.PermissionDenied, message: "join token {token} is for the host {wanted} and this host is {hostname}", next: "use it on that host, or " + create},
		TokenAddressMismatch:  {code: codes.PermissionDenied, message: "join token {token} is for hosts in {cidrs} and this host has {addresses}", next: "use it on such a host, or " + create},

		RequestInvalid:          {code: codes.InvalidArgument, message: "the request is not valid: {error}", next: "install the agent of the manager's version ({version})"},
		HostnameInvalid:         {code: codes.InvalidArgument, message: "the hostname {hostname} cannot name a machine: {error}", next: "set another with `hostnamectl set-hostname NAME` and join again"},
		HostnameTaken:           {code: codes.AlreadyExists, message: "machine {machine} has joined with another key and is connected, or was so less than a minute ago", next: "give this host another hostname (`hostnamectl set-hostname NAME`); if the other host is gone for good, wait a minute and join again; `hawser describe machine {name} -n {namespace}` shows it"},
		GroupMismatch:           {code: codes.AlreadyExists, message: "machine {machine} belongs to group {group}, and the token is for group {wanted}", next: "use a token for group {group}; to move the machine, run `hawser-agent leave` on it first, or `{delete}` if it is gone"},
		ClockSkew:               {code: codes.FailedPrecondition, message: "this host's clock says {host} and the manager's says {manager}", next: "set the clock (`timedatectl set-ntp true`) and join again"},
		GlibcTooOld:             {code: codes.FailedPrecondition, message: "Istio's proxy {image} needs the GNU C library {needed} or newer and this host has {present}", next: "upgrade the host's operating system"},
		GlibcMissing:            {code: codes.FailedPrecondition, message: "Istio's proxy {image} needs the GNU C library {needed} or newer and this host has none", next: "use a host with a GNU operating system; one built on musl cannot run this proxy"},
		ArchitectureUnsupported: {code: codes.FailedPrecondition},

		GroupNotFound:     {code: codes.FailedPrecondition, message: "the WorkloadGroup {group} does not exist", next: "create it, or create a token for another group (`hawser get groups`)"},
		GroupUnseen:       {code: codes.Unavailable, message: "the WorkloadGroup {group} exists, and this manager has not heard of it yet, as after a time without the API server", next: "nothing is to be done: the join asks again", retry: true},
		NoGateway:         {code: codes.FailedPrecondition},
		ProxyPending:      {code: codes.Unavailable, message: "the manager is still fetching {image} for {architecture}", next: "nothing is to be done: the join waits for it", retry: true},
		ImageUnavailable:  {code: codes.FailedPrecondition},
		ImageUnauthorized: {code: codes.FailedPrecondition},

		CertificateMissing:   {code: codes.Unauthenticated, message: "the call needs a machine's client certificate", next: "join first: `hawser-agent join`"},
		CertificateInvalid:   {code: codes.Unauthenticated, message: "the client certificate is not of a machine of this cluster: {error}", next: "run `hawser-agent leave` and join again"},
		CertificateExpired:   {code: codes.Unauthenticated, message: "the certificate of machine {machine} expired at {expired}", next: "the agent renews it with its key; nothing is to be done", retry: true},
		RecoveryWindowPassed: {code: codes.PermissionDenied, message: "the certificate of machine {machine} expired at {expired}, and the time to come back with it ended at {ended}", next: "run `hawser-agent leave` on it and join again with a new token"},
		MachineUnknown:       {code: codes.NotFound, message: "there is no machine {machine} in this cluster: it left, or was deleted", next: "run `hawser-agent leave` on it, and join again if it shall come back"},
		MachineForgotten:     {code: codes.FailedPrecondition, message: "the cluster's state was restored to one from before machine {machine} joined, and the machine cannot be taken back, as its WorkloadGroup {group} does not exist", next: "create the WorkloadGroup again: the machine is taken back then; if it shall not come back, run `hawser-agent leave` on it", retry: true},
		MachineRevoked:       {code: codes.PermissionDenied, message: "machine {machine} was revoked", next: "run `hawser-agent leave` on it; to let it back in, delete the Machine ({delete}) and join again"},
		KeyMismatch:          {code: codes.PermissionDenied, message: "machine {machine} has joined again with another key, and this one is no longer good", next: "run `hawser-agent leave` on this host; if both are the same machine, join again"},
		SessionReplaced:      {code: codes.Aborted, message: "machine {machine} has opened a newer stream", next: "nothing is to be done: the newer stream is this machine's own", retry: true},
		Cloned:               {code: codes.PermissionDenied, message: "this host is a copy of machine {machine}, which is connected from another host ({address})", next: "run `hawser-agent leave` here, which leaves the other host alone, give this one a hostname of its own (`hostnamectl set-hostname NAME`) and join it with a new token"},
		ArtifactUnknown:      {code: codes.NotFound, message: "this manager has no proxy file {sha256}", next: "nothing is to be done: the agent asks again when the manager has sent the newest state", retry: true},
		ManagerStopping:      {code: codes.Unavailable, message: "this manager is stopping", next: "nothing is to be done: the agent connects to another one", retry: true},
		ManagerBusy:          {code: codes.Unavailable, message: "the manager could not {action}", next: "run the same command again in a moment; if it stays so, see the manager's log (`kubectl logs deploy/hawser-manager -n NAMESPACE`)", retry: true},
	}
}
