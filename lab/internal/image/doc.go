// Package image makes OCI images from binaries and root file systems, and serves them.
//
// In come paths of files; out come layouts in the build cache, and a registry on the node that keeps what is pushed to it.
// No container engine is involved. The package must not know what the images are for.
package image
