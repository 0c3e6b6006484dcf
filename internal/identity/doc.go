// Package identity names the two ends of Hawser's wire and tells them apart: the manager by a fixed server name and the pin of its CA, a
// machine by the SPIFFE URI in its client certificate and the fingerprint of its key. What comes in are names, keys and certificates;
// what goes out are their canonical forms. It signs nothing, stores nothing, and knows neither Kubernetes nor gRPC.
package identity
