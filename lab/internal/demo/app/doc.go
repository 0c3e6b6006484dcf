// Package app is the demonstration application: one program that is each of the demo's services, depending on its
// command line, in pods and on machines alike.
//
// In come requests; out come answers that say who answered, for whom, and what the services behind said. It knows nothing
// of Kubernetes, Istio or Hawser, except for the header in which a proxy names its peer: everything else it gets from
// the mesh as any application would.
package app
