// Package publish is the machines' side of the manager: it holds one stream for each connected machine, sends it the newest desired state
// and a fresh Istio token whenever it does not have them, and serves the proxies' files. What comes in are facts and the agents' streams; what
// goes out are states, tokens and bytes, and, to the recorder, what agents report. Latest wins: a machine that is slow misses states
// in between, and one that has the newest gets nothing. A host is refused if another one that has the same key is there: see package record. It
// decides no state, and writes nothing to the cluster.
package publish
