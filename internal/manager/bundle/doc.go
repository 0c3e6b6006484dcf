// Package bundle takes the proxy out of a revision's image and serves its files by the hash of their content. What comes in: an image
// reference and an architecture. What goes out: the description of the proxy's files (facts.Proxy), and the zstd form of each of them
// from any offset. The registry is asked for the digest and the layers; what was pulled is kept in a directory that holds nothing
// else. It does not decide which image a machine runs.
package bundle
