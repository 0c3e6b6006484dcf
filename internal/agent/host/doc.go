// Package host makes a machine what a plan says. In come steps, out come changes of the machine: files, units, the proxy's
// binaries, traffic rules, the resolver. It holds the only code of the agent with such effects; each kind is in a package
// of its own below this one.
//
// What is made or changed is written to the ledger before it is touched, so that Restore puts the machine back as it was, with
// or without a network. The package decides nothing: it takes the steps it is given.
package host
