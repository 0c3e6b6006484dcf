// Package managertest gives tests of the manager a real API server. What comes out is a rest.Config of a kube-apiserver and etcd
// that run for the test alone, with the kinds of Hawser and Istio installed. It is for tests only, and built with the tag apiserver
// alone.
package managertest
