// Package managertest is a manager for tests of the agent: a real gRPC server on a real port with a real certificate authority,
// whose state is a few maps that tests set and print. It refuses as its test tells it to, and decides nothing by itself.
package managertest
