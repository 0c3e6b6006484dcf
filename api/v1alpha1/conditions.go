package v1alpha1

// Condition types of a Machine. Their reasons are documented in docs/guide/conditions.md.
const (
	// ConditionConnected: the agent holds a stream to a manager.
	ConditionConnected = "Connected"
	// ConditionConfigCurrent: the newest desired state is applied.
	ConditionConfigCurrent = "ConfigCurrent"
	// ConditionProxyReady: the proxy has its configuration and serves.
	ConditionProxyReady = "ProxyReady"
	// ConditionIdentityValid: certificates and token are valid.
	ConditionIdentityValid = "IdentityValid"
	// ConditionIntercepting: the host's traffic goes through the proxy.
	ConditionIntercepting = "Intercepting"
	// ConditionDrifted: others changed what Hawser put on the host. It is bad when it is true.
	ConditionDrifted = "Drifted"
	// ConditionRestartRequired: the proxy runs with older settings until its owner restarts it. It is bad when it is true.
	ConditionRestartRequired = "RestartRequired"
	// ConditionHealthy: proxy and application are ready; callers send traffic.
	ConditionHealthy = "Healthy"
	// ConditionReady sums up: connected, current, healthy.
	ConditionReady = "Ready"
)

// Labels, annotations and the finalizer that Hawser sets on objects and proxies.
const (
	// LabelGroup is on each machine's WorkloadEntry and proxy, so that policies select the machines of a group and not the
	// pods that share its labels.
	LabelGroup = "hawser.io/group"
	// LabelMachine names the Machine that an object belongs to.
	LabelMachine = "hawser.io/machine"
	// LabelManagedBy is Kubernetes' own label for the owning tool; its value is ManagedBy.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "hawser"
	// AnnotationClones names the hosts that were refused as clones, by boot ID or, where that is the machine's own, by instance, separated by
	// spaces. They stay refused while the machine is away for a moment: else its copy would be there first when it comes back.
	AnnotationClones = "hawser.io/clones"
	// AnnotationAdmitted is when the machine's key was admitted, RFC 3339 with milliseconds.
	AnnotationAdmitted = "hawser.io/admitted"
	// AnnotationReturning has the stamp of a machine that is being taken back after a restore of the cluster's state, until that is noted.
	AnnotationReturning = "hawser.io/returning"
	// FinalizerLeave keeps a Machine that is deleted until its host has left the mesh, or does not come to do so.
	FinalizerLeave = "hawser.io/leave"
)
