// Package dial opens connections to the manager: end-to-end TLS 1.3 under the manager's fixed server name, over whichever
// of the manager's addresses answers. In come an address as the user gave it and what authenticates both ends, out
// comes a gRPC connection.
//
// It keeps no connection open by itself and does not come back: that is its callers' business.
package dial
