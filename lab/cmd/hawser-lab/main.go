// Command hawser-lab runs a real Kubernetes, a real Istio and real machines in one sandbox on this host.
package main

func main() {}
