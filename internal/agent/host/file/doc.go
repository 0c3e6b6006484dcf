// Package file writes the host's files. In come paths, contents, modes and owners, out come files that a reader, also one after
// a power cut, sees as they were or as they are meant to be. It decides nothing and remembers nothing.
package file
