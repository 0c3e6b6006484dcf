// Package v1alpha1 holds Hawser's custom resources: Machine, JoinToken and MachinePolicy, group hawser.io.
// Types and constants only: no client, no defaulting code, no I/O. The CRDs of the Helm chart and the deep-copy functions are
// generated from here with `make generate`.
//
// +kubebuilder:object:generate=true
// +groupName=hawser.io
package v1alpha1
