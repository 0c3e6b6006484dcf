// Package charttest renders Hawser's Helm chart with Helm's own engine and tests what comes out: golden files, what the values'
// schema refuses, the rights that are given away, and Kubernetes' restricted Pod Security Standard. It is part of the lab's
// module as Helm is in its dependencies already; it holds tests only and must not be imported.
package charttest
