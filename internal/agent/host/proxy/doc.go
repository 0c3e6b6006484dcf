// Package proxy brings the proxy's binaries to the host and asks a running proxy whether it is ready. In come hashes and a
// reader of what they name, out comes a directory that holds all files of one version, checked, or none. It starts nothing.
package proxy
