// Package metrics tells Prometheus how the agent and its machine are doing: in comes the agent's status, out comes a page in the text
// format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), over a responder of HTTP that can do this and
// nothing else. It keeps no counters of its own and costs nothing while nobody asks; a client library and net/http's server would be a
// tenth of the agent.
package metrics
