// Package probe finds out whether the application on the machine can serve: it runs the probe of the WorkloadGroup as
// Kubernetes defines probes (HTTP, HTTPS, TCP, exec, gRPC) and turns single outcomes into a verdict by thresholds.
//
// In comes the probe's definition from the desired state, out come verdicts. It looks at the application alone: what
// the verdict means for traffic is decided by the manager.
package probe
