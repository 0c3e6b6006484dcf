// Package faults lets tests on real machines strike the agent where they could not otherwise: it dies before a chosen change to the host, and its
// clock is wrong. In come files of a directory that only root can make, out come the hooks that the agent has anyway. All of that is in a build
// with the tag faults; in any other there is nothing to come in. It must not know what the agent does.
package faults
