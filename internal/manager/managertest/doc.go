// Package managertest gives tests of the manager a cluster to work on, objects from YAML and a log that many may write, and, with the build tag apiserver, a
// rest.Config of a kube-apiserver and etcd that run for the test alone, with the kinds of Hawser and Istio installed. It is for tests
// only.
package managertest
