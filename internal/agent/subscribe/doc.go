// Package subscribe keeps the machine's one stream to the manager: it says hello, hands on what comes down (states, tokens,
// the end), sends a report whenever it differs from the one before, answers pings, and comes back when the stream breaks.
//
// It neither applies states nor makes reports.
package subscribe
