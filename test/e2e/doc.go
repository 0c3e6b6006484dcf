// Package e2e drives a real mesh through the public commands alone: hawser, hawser-agent, kubectl, helm and the levers of the
// lab. A scenario is a txtar script in testdata; see README.md for its verbs. The package must not import the product's code:
// what a scenario cannot see through a command, a user cannot see either.
package e2e
